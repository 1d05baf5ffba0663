"""The small parts: settings, status, feed, socket, `ds init`'s judgement, derived and correction runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from committer import initialise, tenure
from committer.api import peer_uid
from committer.detect.correct import correction_run, is_code, unexplained
from committer.events import QUEUE_LIMIT, EventFeed
from committer.identity import bind_journal, found, settle_identity
from committer.settings import CommitterSettings, load_settings
from committer.status import Facts, HubStatus, Problem
from committer.storage.ignore import IgnoreRules
from committer.storage.index import INDEX
from committer.storage.store import ObjectStore
from committer.sync.journal import Counts, Journal
from committer.sync.uploads import Sent
from dotscience.errors import ConfigError, CorruptObject, NewerStore
from dotscience.record import FileRef, RunRecord
from dotscience.workspace import HubBinding, Workspace

DOT = "6f5d1c1e-5a0e-4c0b-9d4e-0d075c1e9ce0"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_settings_come_from_file_and_environment(tmp_path):
    (tmp_path / ".dotscience").mkdir()
    (tmp_path / ".dotscience" / "config.toml").write_text('[committer]\ndebounce_s = 1\nderived_runs = "off"\n')
    settings = load_settings(tmp_path, {"DS_COMMITTER_DEBOUNCE_S": "2.5", "OTHER": "x"})
    assert (settings.debounce_s, settings.derived_runs, settings.publish_grace_s) == (2.5, "off", 5.0)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"DS_COMMITTER_DEBOUNSE_S": "1"}, "debounce_s"),
        ({"DS_COMMITTER_DEBOUNCE_S": "soon"}, "wrong"),
        ({"DS_COMMITTER_DERIVED_RUNS": "sometimes"}, "wrong"),
        ({"DS_COMMITTER_UPLOAD_LIMIT": "1000"}, "`upload_limit` is 1000, and below 131072 bytes per second"),
        ({"DS_COMMITTER_UPLOAD_LIMIT": "200000", "DS_COMMITTER_ZFS_SEND": "trusted"}, "below 262144 bytes per second"),
        ({"DS_COMMITTER_ZFS_SEND": "on"}, "zfs_send"),
        ({"DS_COMMITTER_UPLOAD_LIMIT": "-1"}, "upload_limit"),
        ({"DS_COMMITTER_UPLOAD_CONCURRENCY": "0"}, "upload_concurrency"),
        ({"DS_COMMITTER_UPLOAD_CONCURRENCY": "9"}, "upload_concurrency"),
    ],
)
def test_wrong_settings_say_which_and_what_is_right(tmp_path, environment, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(tmp_path, environment)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[committer", r"config\.toml"),
        ("committer = 1", "must be a table"),
        ("nonsense = 1", "unknown section 'nonsense'.*config\\.toml; known are: committer"),
        ("[comitter]\ndebounce_s = 1", "did you mean 'committer'"),
    ],
)
def test_a_wrong_config_file_says_what_is_wrong(tmp_path, content, message):
    (tmp_path / ".dotscience").mkdir()
    (tmp_path / ".dotscience" / "config.toml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_settings(tmp_path, {})


def facts(**fields):
    return Facts(root="/w", dot_id=DOT, version="1", started=True, **fields)


HUB = HubStatus(url="http://h", project_id="p", project_name="n")
DOWN = HubStatus(url="http://h", project_id="p", project_name="n", unreachable_since=NOW)
PROBLEM = Problem(type="t", detail="it broke", hint="mend it")


@pytest.mark.parametrize(
    ("known", "state"),
    [
        (facts(), "watching"),
        (facts(hub=HUB), "watching"),
        (facts(hub=HUB, head="h", counts=Counts(commits=1, pushed=1)), "pushed"),
        (facts(hub=HUB, head="h", counts=Counts(commits=2, pushed=1)), "committed"),
        (facts(hub=HUB, head="h", counts=Counts(commits=2, pushed=1), pushing=True), "pushing"),
        (facts(hub=HUB, head="h", counts=Counts(commits=1, pushed=1), pushing=True), "pushed"),
        (facts(hub=DOWN, head="h", counts=Counts(commits=2, pushed=1)), "unreachable"),
        (facts(hub=DOWN, head="h", counts=Counts(commits=2, pushed=1), pushing=True), "unreachable"),
        (facts(hub=HUB, problems={"x": PROBLEM}), "error"),
        (facts(hub=HUB, snapshotting=True), "snapshotting"),
        (Facts(root="/w", dot_id=DOT, version="1"), "starting"),
    ],
)
def test_the_state_follows_from_the_facts(known, state):
    status = known.status()
    assert status.state == state
    assert status.message


def test_a_problem_that_holds_commits_back_is_told_before_an_older_one_that_does_not():
    unreadable = Problem(type="unreadable-notebook", detail="half a notebook", hint="")
    full = Problem(type="disk-full", detail="no room", hint="")
    known = facts(problems={"a.ipynb": unreadable})
    assert known.status().error == unreadable
    known.problems["disk"] = full
    assert (known.status().error, known.status().message) == (full, "no room")


def test_a_problem_that_does_no_harm_is_told_beside_the_state_and_after_all_others():
    harmless = Problem(type="zfs-send-failed", detail="no room there", hint="")
    known = facts(hub=HUB, head="h", counts=Counts(commits=1, pushed=1), problems={"zfs": harmless})
    assert (known.status().state, known.status().message) == ("pushed", "Everything is pushed")
    assert known.status().error == harmless
    known.problems["x"] = PROBLEM
    assert (known.status().state, known.status().error) == ("error", PROBLEM)


def test_a_burst_is_counted_from_its_beginning():
    known = facts(hub=HUB)
    known.set_counts(Counts(commits=5, pushed=5))
    known.set_counts(Counts(commits=7, pushed=5))
    known.set_counts(Counts(commits=8, pushed=6))
    status = known.status()
    assert (status.pushed, status.unpushed, status.push_total) == (1, 2, 3)
    known.pushing = True
    assert known.status().message == "Pushing commit 2 of 3"
    known.sent = Sent(12 * 2**20, 80 * 2**20)
    assert known.status().message == "Pushing commit 2 of 3 (12.0 MiB of 80.0 MiB)"
    known.set_counts(Counts(commits=8, pushed=8))
    assert (known.status().pushed, known.status().unpushed, known.status().push_total) == (3, 0, 3)


def test_a_slow_reader_loses_events_and_is_told():
    async def body():
        feed = EventFeed()
        with feed.subscribe() as subscription:
            for number in range(QUEUE_LIMIT + 2):
                feed.publish({"n": number})
            feed.close()
            got = []
            while (event := await subscription.next(1)) is not None:
                got.append(event)
            return got

    assert asyncio.run(body()) == [{"type": "resync"}, {"n": QUEUE_LIMIT}, {"n": QUEUE_LIMIT + 1}]


def test_the_peer_of_a_socket_is_known_by_its_uid():
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_uid(one) == os.getuid()


def test_a_socket_folder_that_others_can_enter_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "dotscience").mkdir(mode=0o755)
    assert tenure.socket_path(Path("/w")).parent != tmp_path / "dotscience"


def test_socket_paths_are_short_whatever_the_runtime_folder_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("x" * 90)))
    assert len(os.fsencode(tenure.socket_path(Path("/w")))) < tenure.MAX_SOCKET_PATH


def test_folders_that_should_not_be_tracked(tmp_path):
    home = tmp_path / "home" / "me"
    home.mkdir(parents=True)
    system = ["/", "/etc", "/usr", "/proc/self", "/usr/share/dict", "/var/lib/x", "/var/log", "/run/user/1000"]
    for folder in (home, tmp_path / "home", *map(Path, system)):
        assert initialise.refusal(folder, home) is not None
    link = tmp_path / "link"
    link.symlink_to(home)
    assert initialise.refusal(link, home) is not None
    assert initialise.refusal(home / "project", home) is None


def test_the_census_leaves_out_what_is_ignored_and_stops_early(tmp_path, monkeypatch):
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "big").write_bytes(b"x" * 1000)
    for number in range(5):
        (tmp_path / f"{number}.csv").write_bytes(b"12")
    assert initialise.count(tmp_path, IgnoreRules()) == initialise.Census(files=5, size=10, more=False)
    monkeypatch.setattr(initialise, "ASK_ABOVE_FILES", 2)
    assert initialise.count(tmp_path, IgnoreRules()) == initialise.Census(files=3, size=6, more=True)


def test_a_preview_stops_in_time_and_writes_nothing(tmp_path, monkeypatch):
    for number in range(5):
        (tmp_path / f"{number}.csv").write_bytes(b"12")
    home = Path("/home/somebody")
    assert initialise.preview(tmp_path / "0.csv", home).refused == f"{tmp_path / '0.csv'} is not a folder"
    assert initialise.preview(tmp_path, tmp_path).files == 0
    expected = initialise.Preview(root=str(tmp_path), files=5, size=10, more=False, refused=None)
    assert initialise.preview(tmp_path, home) == expected
    monkeypatch.setattr(initialise, "PREVIEW_S", -1.0)
    assert initialise.preview(tmp_path, home).more is True
    assert len(list(tmp_path.iterdir())) == 5


def test_corrections_are_about_data_that_nothing_claims():
    claimed = RunRecord(run_id="r", inputs=[FileRef(path="in.csv")], outputs=[FileRef(path="out.csv")])
    changed = ["in.csv", "out.csv", "data.csv", "code.py", "a.ipynb", "Makefile", "deep/model.bin"]
    assert unexplained(changed, [claimed]) == ["data.csv", "deep/model.bin"]
    assert is_code("src/main.PY")
    run = correction_run(DOT, "parent", ["data.csv"], noticed_at=NOW)
    assert (run.authority, [file.path for file in run.outputs]) == ("correction", ["data.csv"])


def workspace(root, **fields):
    return Workspace(root=root, dot_id=DOT, initialised_at=NOW, **fields)


def test_a_journal_without_a_past_trusts_only_what_is_to_come(journal, tmp_path):
    before = datetime.now(UTC)
    since = settle_identity(journal, workspace(tmp_path))
    assert since >= before
    assert settle_identity(journal, workspace(tmp_path)) == since


def test_a_binding_to_another_hub_forgets_what_the_first_has(journal, tmp_path):
    hub = HubBinding(url="http://a", project_id="p", project_name="n")
    bind_journal(journal, workspace(tmp_path, hub=hub))
    journal.mark_pack_pushed("x")
    bind_journal(journal, workspace(tmp_path, hub=hub))
    assert journal.pushed_packs() == {"x"}
    bind_journal(journal, workspace(tmp_path))
    assert journal.pushed_packs() == {"x"}
    bind_journal(journal, workspace(tmp_path, hub=HubBinding(url="http://b", project_id="p", project_name="n")))
    assert journal.pushed_packs() == set()


def test_every_setting_and_problem_is_documented():
    repository = Path(__file__).parents[3]
    text = (repository / "docs" / "committer.md").read_text()
    sources = "".join(path.read_text() for path in (repository / "committer").rglob("*.py"))
    problems = set(re.findall(r'(?:type=|kind, hint = )"([a-z-]+)"', sources))
    assert len(problems) > 8
    for name in {*CommitterSettings.__struct_fields__, *problems}:
        assert f"`{name}`" in text, name


def tables(folder):
    with contextlib.closing(sqlite3.connect(folder / INDEX)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}


@pytest.mark.parametrize(
    "change",
    ["UPDATE journal_meta SET value = '3' WHERE key = 'version'", "UPDATE store_format SET version = 2"],
)
def test_a_newer_program_s_tables_are_refused_and_left_alone(tmp_path, change):
    found(workspace(tmp_path))
    folder = tmp_path / ".dotscience" / "store"
    with contextlib.closing(sqlite3.connect(folder / INDEX)) as connection, connection:
        connection.execute(change)
        connection.execute("DROP TABLE journal_pushed_packs")
        connection.execute("DROP TABLE stat_rules")
    before = tables(folder)
    with pytest.raises(NewerStore, match=r"version (3.*up to 2|2.*up to 1).*upgrade"), ObjectStore(folder):
        Journal(folder)
    assert tables(folder) - {"stat_rules"} == before


def test_a_database_that_is_none_says_what_to_do(tmp_path):
    found(workspace(tmp_path))
    folder = tmp_path / ".dotscience" / "store"
    (folder / INDEX).write_bytes(b"nonsense" * 1000)
    with pytest.raises(CorruptObject, match="Move it"):
        Journal(folder)


@pytest.mark.parametrize("terminal", [True, False])
def test_tracebacks_in_the_log_show_no_values(terminal):
    program = (
        "import sys, structlog\n"
        f"sys.stderr.isatty = lambda: {terminal}\n"
        "from committer.logs import configure_logging\n"
        "configure_logging()\n"
        "def fail(token):\n"
        "    raise ValueError('it failed')\n"
        "try:\n"
        "    fail('ds_' + 'secret')\n"
        "except ValueError:\n"
        "    structlog.get_logger().exception('loop.failed')\n"
    )
    logged = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    assert "it failed" in logged
    assert "ds_secret" not in logged
