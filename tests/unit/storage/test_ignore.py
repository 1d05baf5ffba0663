from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

from committer.storage.ignore import DEFAULT_IGNORE, IgnoreRules, load_ignore
from dotscience.errors import ConfigError

LEFT_OUT_BY_DEFAULT = [
    b".ssh/id_rsa",
    b".aws/credentials",
    b".gnupg/secring",
    b".netrc",
    b".config/gcloud/token",
    b".kube/config",
    b".docker/config.json",
    b".env",
    b".env.production",
    b"server.pem",
    b"tls.key",
    b".bash_history",
    b".git/config",
    b".venv/bin/python",
    b"venv/x",
    b"node_modules/x/index.js",
    b"__pycache__/x.pyc",
    b".ipynb_checkpoints/a.ipynb",
    b".cache/x",
    b".local/share/x",
    b".~a.ipynb",
]
NEVER = [
    b".dotscience/project.toml",
    b".dotscience/store/packs/ab/cd",
    b".config/dotscience/credentials.json",
    b".local/share/dotscience/admin.token",
    b"Library/Application Support/dotscience/credentials.json",
    b".local/share/jupyter/runtime/kernel-1.json",
    b"kernel-0c1d2e3f-aaaa-bbbb-cccc-0123456789ab.json",
    b"jpserver-1234.json",
    b"jpserver-1234-open.html",
    b"nbserver-1.json",
    b"jupyter_cookie_secret",
    b".jupyter_ystore.db",
    b"deep/.jupyter_ystore.db-journal",
    b".jupyter/collaboration_sessions.json",
    b"deep/.jupyter_cache/global.db",
    b"notebook_cookie_secret",
]


@pytest.mark.parametrize("place", [b"", b"deep/down/", b"new\nline/", b"not utf-8 \xff/", b"-/"])
@pytest.mark.parametrize("path", LEFT_OUT_BY_DEFAULT + NEVER)
def test_secrets_are_left_out_wherever_they_are(path, place):
    assert IgnoreRules().excludes(place + path)


@pytest.mark.parametrize("path", NEVER)
def test_nothing_brings_back_what_never_goes_in(path):
    everything_back = "!*\n!**/*\n!.dotscience\n!.dotscience/**\n!jupyter_cookie_secret\n!/" + os.fsdecode(path)
    assert IgnoreRules("").excludes(path)
    assert IgnoreRules(everything_back).excludes(path)


@pytest.mark.parametrize("path", LEFT_OUT_BY_DEFAULT)
def test_the_default_list_can_be_edited(path):
    assert not IgnoreRules("").excludes(path) or path.startswith(b".local/share/dotscience")


@pytest.mark.parametrize(
    "path",
    [b"train.py", b"data/a.csv", b"environment.yml", b"keys.txt", b"kernel-5.json", b".gitignore", b"envs/x", b"a\nb"],
)
def test_work_is_kept(path):
    assert not IgnoreRules().excludes(path)


def test_patterns_are_those_of_gitignore():
    rules = IgnoreRules("*.log\n!keep.log\n/build/\ndata/**/raw\n# note\n\\#x\n")
    left_out = {b"a.log", b"d/a.log", b"build/x", b"data/raw", b"data/1/2/raw", b"#x"}
    kept = {b"keep.log", b"d/keep.log", b"x/build/y", b"build", b"note", b"raw"}
    assert {path for path in left_out | kept if rules.excludes(path)} == left_out


def test_a_folder_and_a_file_of_one_name_are_told_apart():
    rules = IgnoreRules("out/\n")
    assert rules.excludes_entry(b"out", directory=True)
    assert not rules.excludes_entry(b"out", directory=False)


def test_a_line_that_is_no_pattern_is_named():
    with pytest.raises(ConfigError, match=r"\.dotscienceignore"):
        IgnoreRules("!\n")


def test_a_missing_file_means_the_default(tmp_path):
    assert load_ignore(tmp_path).digest == IgnoreRules(DEFAULT_IGNORE).digest
    (tmp_path / ".dotscienceignore").write_text("")
    assert load_ignore(tmp_path).digest == IgnoreRules("").digest
    assert not load_ignore(tmp_path).excludes(b".env")


def test_protected_paths_below_the_root_are_left_out(tmp_path):
    rules = load_ignore(tmp_path, protected=[tmp_path / "my" / "tokens", tmp_path.parent / "elsewhere"])
    assert rules.excludes(b"my/tokens/hub.json")
    assert not rules.excludes(b"my/other")
    assert not rules.excludes(b"other/my/tokens")
    assert rules.digest != load_ignore(tmp_path).digest


def test_an_ignore_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / ".dotscienceignore"
    path.symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="symbolic link"):
        load_ignore(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="not a text file"):
        load_ignore(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="not a text file"):
        load_ignore(tmp_path)
    path.rmdir()
    path.write_bytes(bytes(2**20 + 1))
    with pytest.raises(ConfigError, match="at most"):
        load_ignore(tmp_path)


PATTERNS = st.lists(st.text("ab*?/![]\\.(?P<ps_d> ", max_size=14), max_size=5)
NAMES = st.lists(st.text("ab.P<(", min_size=1, max_size=4), min_size=1, max_size=3)


@pytest.mark.filterwarnings("ignore:Possible (nested set|set difference):FutureWarning")
@given(PATTERNS, NAMES, st.booleans())
def test_asking_all_patterns_at_once_changes_no_answer(lines, names, directory):
    try:
        spec = GitIgnoreSpec.from_lines(lines)
    except GitIgnorePatternError:
        return
    path = "/".join(names)
    expected = bool(spec.check_file(f"{path}/" if directory else path).include)
    assert IgnoreRules("\n".join(lines)).excludes_entry(path.encode(), directory=directory) == expected


def test_a_pattern_that_looks_like_our_own_marks_still_applies():
    rules = IgnoreRules("[(?P<ps_d>]\n*.key")
    assert rules.excludes(b"P")
    assert rules.excludes(b"a.key")
    assert not rules.excludes(b"x")
