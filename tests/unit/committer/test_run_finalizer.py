"""Whose content a hash is: the table of what is known of a file, and what a record may say of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.objects import Objects

from committer.captured_files import NOTHING, RunFiles
from committer.run_files import CommitTree, KnownContents, RunFinalizer
from committer.storage.codec import digest
from committer.storage.tree import EntryKind, TreeEntry
from committer.storage.tree_edit import TreeEdit
from committer.sync.journal import RunRow
from dotscience.file_signature import FileSignature
from dotscience.record import FileRef, RunRecord

ENDED_AT = datetime(2026, 1, 1, tzinfo=UTC)
ENDED_NS = int(ENDED_AT.timestamp()) * 10**9
SECOND = 10**9


def entry(content, mtime_ns=ENDED_NS - SECOND):
    return TreeEntry(b"a", EntryKind.FILE, 0o644, len(content), mtime_ns, digest(content))


def tree(*entries):
    objects = Objects()
    edit = TreeEdit(objects, None)
    for one in entries:
        edit.put((b"a",), one)
    return CommitTree(objects, edit.finish(objects.put))


@pytest.fixture
def finalize(tmp_path):
    def finalize(record, files=NOTHING, *, now=(), captured=(), history=(), last_writer=1):
        finalizer = RunFinalizer(
            tmp_path,
            tree(*now),
            KnownContents(captured, lambda: (tree(*one) for one in history)),
            {},
            {"a": last_writer},
        )
        row = RunRow(
            seq=1,
            run_id=record.run_id,
            state="pending",
            source="sidecar",
            record=record,
            digest="",
            notebook=None,
            expects_notebook=False,
            in_notebook=False,
            noticed_at=ENDED_AT,
            commit=None,
            environment=None,
        )
        return finalizer.finalize(row, files, notebook_stale=False)

    return finalize


def output(**fields):
    return RunRecord(run_id="r", ended_at=ENDED_AT, outputs=[FileRef(path="a", **fields)])


def source(**fields):
    return RunRecord(run_id="r", ended_at=ENDED_AT, inputs=[FileRef(path="a", **fields)])


MINE, LATER = entry(b"mine"), entry(b"later", ENDED_NS + SECOND)
HASH = digest(b"mine").hex()


@pytest.mark.parametrize(
    ("files", "now", "last_writer", "content", "overwritten"),
    [
        (RunFiles(held={(b"a",): MINE}), [LATER], 1, HASH, False),
        (RunFiles(seen={"a": FileSignature(4, MINE.mtime_ns)}), [MINE], 9, HASH, False),
        (RunFiles(seen={"a": FileSignature(4, MINE.mtime_ns)}), [entry(b"else", MINE.mtime_ns + 1)], 1, None, True),
        (NOTHING, [MINE], 1, HASH, False),
        (NOTHING, [LATER], 1, None, True),
        (NOTHING, [entry(b"mine", ENDED_NS - 1)], 1, HASH, False),
        (NOTHING, [entry(b"mine", ENDED_NS - 1)], 2, None, True),  # stamped a tick ago, and a later run writes there
        (NOTHING, [MINE], 2, HASH, False),
    ],
)
def test_an_outputs_hash_is_that_of_the_runs_content_or_absent(finalize, files, now, last_writer, content, overwritten):
    (file,) = finalize(output(), files, now=now, last_writer=last_writer).outputs
    assert (file.content_hash, file.overwritten, file.missing) == (content, overwritten, False)


@pytest.mark.parametrize(
    ("files", "now", "history", "content", "changed"),
    [
        (RunFiles(read={"a": FileSignature(4, MINE.mtime_ns)}), [MINE], [], HASH, False),
        (RunFiles(read={"a": FileSignature(4, MINE.mtime_ns)}), [LATER], [], None, True),
        (RunFiles(read={"a": FileSignature(4, MINE.mtime_ns)}), [LATER], [[LATER], [MINE]], HASH, True),
        (NOTHING, [MINE], [], HASH, False),
        (NOTHING, [LATER], [[MINE]], None, True),
    ],
)
def test_an_inputs_hash_is_that_of_what_was_read_or_absent(finalize, files, now, history, content, changed):
    (file,) = finalize(source(), files, now=now, history=history).inputs
    assert (file.content_hash, file.changed_after_read) == (content, changed)


def test_an_input_is_known_from_the_run_that_made_it(finalize):
    files = RunFiles(read={"a": FileSignature(4, MINE.mtime_ns)})
    (file,) = finalize(source(), files, now=[LATER], captured=[RunFiles(held={(b"a",): MINE})]).inputs
    assert (file.content_hash, file.changed_after_read) == (HASH, True)


def test_files_that_are_gone_were_outputs_and_inputs_all_the_same(finalize):
    held = RunFiles(held={(b"a",): MINE})
    assert finalize(output(), held).outputs[0].content_hash == HASH
    (lost,) = finalize(output()).outputs
    assert (lost.content_hash, lost.missing, lost.overwritten) == (None, True, False)


def test_files_of_elsewhere_are_left_alone(finalize):
    outside = FileRef(path="/data/a", outside=True)
    other = FileRef(path="a", dot="d", commit="c")
    record = RunRecord(run_id="r", ended_at=ENDED_AT, outputs=[outside], inputs=[other])
    done = finalize(record, now=[MINE])
    assert (done.outputs, done.inputs) == ([outside], [other])


def test_what_was_only_seen_to_change_has_the_content_that_was_seen(finalize):
    (file,) = finalize(output(observed=True), now=[LATER]).outputs
    assert (file.content_hash, file.overwritten) == (digest(b"later").hex(), False)
