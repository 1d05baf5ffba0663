"""Clones of a hub that breaks off anywhere, or lies."""

from __future__ import annotations

import contextlib
import itertools
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest
from support.pushing import ObjectsToPush

from committer.clone import MARK, clone
from committer.history import History
from committer.settings import CommitterSettings
from committer.storage.compression import Encoding
from committer.storage.objects import Kind, encode_commit
from committer.storage.pack import PackEntry
from committer.storage.tree import VERSION, EntryKind, Tree, TreeEntry, encode_tree
from committer.sync.journal import Journal
from dotscience.client.hub import Project, Records
from dotscience.errors import CorruptObject, DotscienceError, HubUnavailable, MissingObject, WorkspaceError
from dotscience.record import Commit, Place, RunRecord, encode_json
from dotscience.workspace import STATE_DIR, is_root, read_project

SETTINGS = CommitterSettings(min_free_bytes=1)
START = datetime(2026, 1, 2, tzinfo=UTC)


class HubOfObjects:
    """The calls that a clone needs of a hub, which goes away when it has answered so often."""

    url = "http://hub.example"

    def __init__(self):
        self.dot_id = str(uuid4())
        self.head = None
        self.pushing = ObjectsToPush()
        self.listed = []
        self.answers_left = 10**9
        self.answered = 1_024
        self.forged = {}

    @property
    def project(self):
        return Project(id="p1", name="demo", dot_id=self.dot_id, head=self.head, role="owner")

    def commit(self, root, *records, **changes):
        """A commit of a tree on top of the head."""
        commit = Commit(
            dot_id=self.dot_id,
            parents=[bytes.fromhex(self.head)] if self.head else [],
            root=root,
            runs=[(one.run_id, self.pushing.add(Kind.RUN, encode_json(one))) for one in records],
            created_at=START,
            message="a commit",
            author="someone",
            client="tests",
            consistency="stable",
        )
        self.head = self.pushing.add(Kind.COMMIT, encode_commit(msgspec.structs.replace(commit, **changes))).hex()
        self.listed.insert(0, self.head)
        return self.head

    def commits(self, project_id, *, page):
        return ({"id": one} for one in self.listed)

    def objects(self, dot_id, names):
        if self.answers_left == 0:
            raise HubUnavailable("the hub is away")
        self.answers_left -= 1
        given = list(names)[: self.answered]
        known = self.pushing.objects | self.forged
        return Records(b"".join(record(one, *known[one]) for one in given if one in known), len(given))


def record(name, kind, data):
    return PackEntry(name, kind, 0, len(data), len(data), Encoding.RAW).header + data


@pytest.fixture
def hub():
    return HubOfObjects()


@pytest.fixture
def two_commits(hub):
    """Two commits, each with a run, of which the second changes a file."""
    notebook = RunRecord(run_id=str(uuid4()), place=Place(notebook="a.ipynb"), ended_at=START)
    derived = RunRecord(run_id=str(uuid4()), authority="derived", ended_at=START)
    first = hub.commit(hub.pushing.add_tree({"a.txt": b"one", "same.txt": b"same"}), notebook)
    inner = TreeEntry(b"inner", EntryKind.DIRECTORY, 0o755, 0, 0, hub.pushing.add_tree({"b.txt": b"b" * 1000}))
    content = hub.pushing.add(Kind.BLOB, b"two")
    same = hub.pushing.add(Kind.BLOB, b"same")
    root = encode_tree(
        [
            TreeEntry(b"a.txt", EntryKind.FILE, 0o644, 3, 10**18, content),
            TreeEntry(b"same.txt", EntryKind.FILE, 0o644, 4, 10**18, same),
            inner,
        ]
    )
    return first, hub.commit(hub.pushing.add(Kind.TREE, root), notebook, derived), notebook, derived


def make(hub, folder, *, bar=None, ready=lambda _: None):
    return clone(hub, hub.project, folder, SETTINGS, bar=bar or quiet, ready=ready)


@contextlib.contextmanager
def quiet(_title):
    yield lambda *_: None


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and STATE_DIR not in path.parts
    }


WRITTEN = {"a.txt": b"two", "same.txt": b"same", "inner/b.txt": b"b" * 1000}


def check_whole(hub, folder, two_commits):
    first, second, notebook, derived = two_commits
    found = files(folder)
    found.pop(".dotscienceignore")
    assert found == WRITTEN
    workspace = read_project(folder)
    assert (workspace.dot_id, workspace.hub.project_id) == (hub.dot_id, "p1")
    assert not (folder / STATE_DIR / MARK).exists()
    with History(folder / STATE_DIR / "store") as history:
        assert history.ids() == [first, second]
        assert history.find(derived.run_id).id == second
        assert history.find(notebook.run_id).id == first
        assert all(one.pushed for one in history.newest_first())


def test_a_clone_has_the_files_the_history_and_the_runs(hub, two_commits, tmp_path):
    made = make(hub, tmp_path / "new" / "work")
    assert (made.commits, made.runs, made.problems, made.is_newest) == (2, 2, [], True)
    check_whole(hub, made.workspace.root, two_commits)
    journal = Journal(made.workspace.root / STATE_DIR / "store")
    rows = {row.run_id: row for row in journal.page(notebook=None, limit=9, before=None)}
    notebook, derived = (rows[one.run_id] for one in two_commits[2:])
    assert (notebook.notebook, notebook.in_notebook, notebook.state) == ("a.ipynb", True, "pushed")
    assert (notebook.source, derived.source) == ("sidecar", "derived")
    journal.close()


def test_an_interrupted_clone_goes_on_wherever_it_was_cut(hub, two_commits, tmp_path):
    hub.answered = 1
    for calls in itertools.count():
        folder = tmp_path / str(calls)
        hub.answers_left = calls
        try:
            make(hub, folder)
        except HubUnavailable:
            assert not is_root(folder)
            assert files(folder) == {}
        else:
            break
        hub.answers_left = 10**9
        make(hub, folder)
        check_whole(hub, folder, two_commits)
    assert calls > 5


class Cut(Exception):
    """The process is killed."""


@pytest.mark.parametrize("step", ["Fetching history", "Fetching files", "Writing files", "ready"])
def test_a_clone_that_was_killed_goes_on(hub, two_commits, tmp_path, step):
    folder = tmp_path / "work"

    @contextlib.contextmanager
    def cutting(title):
        yield lambda *_: None
        if title == step:
            raise Cut

    def ready(_workspace):
        if step == "ready":
            raise Cut

    with pytest.raises(Cut):
        make(hub, folder, bar=cutting, ready=ready)
    assert (folder / STATE_DIR / MARK).exists()
    make(hub, folder)
    check_whole(hub, folder, two_commits)


def test_a_clone_that_had_begun_to_write_stays_with_its_commit_and_says_so(hub, two_commits, tmp_path):
    @contextlib.contextmanager
    def cutting(title):
        yield lambda *_: None
        if title == "Writing files":
            raise Cut

    with pytest.raises(Cut):
        make(hub, tmp_path / "work", bar=cutting)
    newer = hub.commit(hub.pushing.add_tree({"a.txt": b"three"}))
    made = make(hub, tmp_path / "work")
    assert (made.commit, made.is_newest) == (two_commits[1], False)
    check_whole(hub, tmp_path / "work", two_commits)
    assert make(hub, tmp_path / "other").commit == newer


def test_contents_that_are_here_are_not_fetched_again(hub, two_commits, tmp_path):
    hub.answered = 1
    make(hub, tmp_path / "whole")
    needed = 10**9 - hub.answers_left
    with pytest.raises(Cut):
        make(hub, tmp_path / "work", ready=lambda _: (_ for _ in ()).throw(Cut()))
    hub.answers_left = 1
    make(hub, tmp_path / "work")
    assert hub.answers_left == 1 < needed


@pytest.mark.parametrize("held", [["x"], [".dotscience/x"], [".dotscience/project.toml"]])
def test_a_folder_that_holds_something_is_left_alone(hub, two_commits, tmp_path, held):
    for name in held:
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
    with pytest.raises(WorkspaceError, match=r"not empty|tracked folder already"):
        make(hub, tmp_path / "work")
    assert {path.name for path in (tmp_path / "work").rglob("*") if path.is_file()} == {
        name.rpartition("/")[2] for name in held
    }


def test_another_project_s_unfinished_clone_is_left_alone(hub, two_commits, tmp_path):
    with pytest.raises(Cut):
        make(hub, tmp_path / "work", ready=lambda _: (_ for _ in ()).throw(Cut()))
    other = HubOfObjects()
    other.url = "http://other.example"
    other.commit(other.pushing.add_tree({"a": b"a"}))
    with pytest.raises(WorkspaceError, match="unfinished clone of another project"):
        make(other, tmp_path / "work")


def test_a_project_without_commits_cannot_be_cloned(hub, tmp_path):
    with pytest.raises(WorkspaceError, match="no commit yet"):
        make(hub, tmp_path / "work")
    assert not (tmp_path / "work").exists()


# ---------------------------------------------------------------------------------- a hub that lies


@pytest.mark.parametrize("name", [b"..", b".", b"", b"../out", b"/etc/x", b"a/b", b"nul\0"])
def test_a_name_that_leads_out_is_refused_before_anything_is_written(hub, tmp_path, name):
    blob = hub.pushing.add(Kind.BLOB, b"evil")
    tree = Tree(VERSION, (TreeEntry(name, EntryKind.FILE, 0o644, 4, 0, blob),))
    hub.commit(hub.pushing.add(Kind.TREE, msgspec.msgpack.encode(tree)))
    with pytest.raises(CorruptObject):
        make(hub, tmp_path / "work")
    assert files(tmp_path) == {}


@pytest.mark.parametrize("name", [b".dotscience", b".DotScience"])
def test_the_state_folder_is_not_what_a_hub_says(hub, tmp_path, name):
    evil = hub.pushing.add_tree({"project.toml": b"evil", "clone.json": b"evil", "config.toml": b"evil"})
    good = hub.pushing.add(Kind.BLOB, b"good")
    entries = [
        TreeEntry(name, EntryKind.DIRECTORY, 0o755, 0, 0, evil),
        TreeEntry(b"good.txt", EntryKind.FILE, 0o644, 4, 0, good),
    ]
    hub.commit(hub.pushing.add(Kind.TREE, encode_tree(entries)))
    made = make(hub, tmp_path / "work")
    assert [one.path for one in made.problems] == [name]
    assert files(tmp_path / "work")["good.txt"] == b"good"
    assert not (tmp_path / "work" / STATE_DIR / "config.toml").exists()
    assert b"evil" not in b"".join(path.read_bytes() for path in (tmp_path / "work").rglob("*.toml"))


def test_a_link_that_leads_out_is_a_link_and_nothing_is_written_through_it(hub, tmp_path):
    (tmp_path / "outside").mkdir()
    entry = TreeEntry(b"link", EntryKind.SYMLINK, 0o777, 0, 0, str(tmp_path / "outside").encode())
    hub.commit(hub.pushing.add(Kind.TREE, encode_tree([entry])))
    make(hub, tmp_path / "work")
    assert (tmp_path / "work" / "link").is_symlink()
    assert list((tmp_path / "outside").iterdir()) == []


def test_an_object_that_is_not_what_its_hash_says_is_refused(hub, two_commits, tmp_path):
    name = next(name for name, (kind, _) in hub.pushing.objects.items() if kind is Kind.TREE)
    hub.forged[name] = (Kind.TREE, b"something else")
    with pytest.raises(CorruptObject):
        make(hub, tmp_path / "work")


def test_what_was_not_asked_for_is_not_taken(hub, two_commits, tmp_path):
    extra = record(hub.pushing.add(Kind.BLOB, b"unasked"), Kind.BLOB, b"unasked")
    answer = hub.objects
    hub.objects = lambda dot, names: Records(answer(dot, names).data + extra, len(names))
    made = make(hub, tmp_path / "work")
    with History(made.workspace.root / STATE_DIR / "store") as history:
        assert not history.reader.has(hub.pushing.add(Kind.BLOB, b"unasked"))


def test_a_commit_of_another_project_is_refused(hub, tmp_path):
    hub.commit(hub.pushing.add_tree({"a": b"a"}), dot_id=str(uuid4()))
    with pytest.raises(CorruptObject, match="another project"):
        make(hub, tmp_path / "work")


@pytest.mark.parametrize(("field", "value"), [("head", "nonsense"), ("dot_id", '"\n[hub]\nurl = "http://evil')])
def test_ids_that_are_none_are_refused(hub, two_commits, tmp_path, field, value):
    project = msgspec.structs.replace(hub.project, **{field: value})
    with pytest.raises(HubUnavailable, match="does not answer like"):
        clone(hub, project, tmp_path / "work", SETTINGS, bar=quiet, ready=lambda _: None)


def test_a_tree_that_the_hub_lacks_ends_it_and_a_content_is_named(hub, two_commits, tmp_path):
    content = hub.pushing.add(Kind.BLOB, b"two")
    del hub.pushing.objects[content]
    made = make(hub, tmp_path / "work")
    assert [one.path for one in made.problems] == [b"a.txt"]
    assert "same.txt" in files(tmp_path / "work")
    hub.pushing.objects = {name: one for name, one in hub.pushing.objects.items() if one[0] is not Kind.TREE}
    with pytest.raises(MissingObject, match="the hub lacks the tree"):
        make(hub, tmp_path / "other")


def test_a_hub_that_answers_nothing_is_not_asked_for_ever(hub, two_commits, tmp_path):
    hub.answered = 0
    with pytest.raises(DotscienceError):
        make(hub, tmp_path / "work")
