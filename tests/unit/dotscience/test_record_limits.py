"""Records that are larger than a hub takes are cut, and say what of them."""

from __future__ import annotations

import pytest

from dotscience.record import FileRef, RunRecord, encode_json
from dotscience.record_limits import MAX_RUN_BYTES, committed_size, fit

HASH = "ab" * 32


def test_a_record_that_fits_stays_as_it_is():
    record = RunRecord(run_id="r", parameters={"a": "x" * 1_000_000}, inputs=[FileRef(path="a")])
    assert fit(record) == (record, [])


@pytest.mark.parametrize(
    ("record", "cut"),
    [
        (RunRecord(run_id="r", parameters={"big": "x" * 4_300_000, "small": 1}), "parameters.big (4,300,002 bytes)"),
        (RunRecord(run_id="r", summary={"big": list(range(900_000))}), "summary.big ("),
        (RunRecord(run_id="r", labels={"big": "\u00e9" * 3_000_000}), "labels.big ("),
        (RunRecord(run_id="r", error="x", traceback="t" * 5_000_000), "the traceback has 5,000,000 characters"),
        (RunRecord(run_id="r", inputs=[FileRef(path=f"data/{n:08}") for n in range(30_000)]), "of 30,000 inputs are"),
        (RunRecord(run_id="r", outputs=[FileRef(path="a" * 900 + str(n)) for n in range(9_000)]), "outputs are left"),
        (RunRecord(run_id="r", parameters={str(n): "x" * 10_000 for n in range(900)}), "more"),
    ],
)
def test_what_is_too_large_is_cut_and_said(record, cut):
    fitted, cuts = fit(record)
    assert committed_size(fitted) <= MAX_RUN_BYTES + sum(map(len, cuts))
    assert cut in " ".join(cuts)
    assert fitted.warnings == cuts


def test_committing_adds_no_more_than_was_expected():
    files = [FileRef(path=str(n)) for n in range(100)]
    done = [
        FileRef(path=str(n), content_hash=HASH, size=2**62, missing=False, changed_after_read=True, overwritten=True)
        for n in range(100)
    ]
    before, after = (RunRecord(run_id="r", inputs=one) for one in (files, done))
    assert len(encode_json(after)) <= committed_size(before)
