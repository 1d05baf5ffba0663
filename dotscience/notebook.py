"""Finding runs in the bytes of notebooks, logs and sidecars.

Nothing here needs Jupyter, and nothing does I/O. A run can be in a notebook more than once: as the vendor MIME type,
as a marker in a stream, and as a marker in the text of displayed data. `execute_result` is never read: its text is the
`repr` of something that may well quote a marker.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from itertools import accumulate
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from dotscience.errors import NotebookError, WireFormatError
from dotscience.record import RUN_MIME, RunRecord, decode_json
from dotscience.scan import MARKER, Block, scan
from dotscience.wire import from_wire, run_id_for, to_wire

Carrier = Literal["sidecar", "mime", "marker"]

_CARRIER_RANK: dict[Carrier, int] = {"sidecar": 2, "mime": 1, "marker": 0}
_STREAMS = ("stdout", "stderr")
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
CONFLICT = b"\n<<<<<<< "


class Location(Struct, frozen=True, omit_defaults=True):
    """Where a run was found. `cell` (among all cells) and `output` count from 0, `line` from 1."""

    path: str
    cell: int | None = None
    cell_id: str | None = None
    output: int | None = None
    output_type: str | None = None
    stream: str | None = None
    line: int | None = None


class FoundRun(Struct, frozen=True, kw_only=True):
    """A block that was found. `metadata` is the wire-v1 view, for markers exactly what they hold.

    `metadata` is None for a block that cannot be read, `record` also for one of an unknown version; `errors` says why,
    and names fields that were left out of a record.
    """

    wire_id: str
    run_id: str
    metadata: dict[str, Any] | None
    record: RunRecord | None
    location: Location
    carrier: Carrier
    errors: list[str] = field(default_factory=list)


# ---------------------------------------------------------------------------------- notebooks


class _Bundle(Struct):
    run: msgspec.Raw | None = field(default=None, name=RUN_MIME)
    text: str | list[str] = field(default="", name="text/plain")


class _Output(Struct):
    output_type: str = ""
    name: str | None = None
    text: str | list[str] = ""
    data: _Bundle = field(default_factory=_Bundle)


class _Cell(Struct):
    cell_type: str = ""
    id: str | None = None
    outputs: list[_Output] = []


class _Notebook(Struct):
    cells: list[_Cell]


_NOTEBOOK = msgspec.json.Decoder(_Notebook)


def find_runs(data: bytes, *, path: str, dot_id: str | None = None) -> list[FoundRun]:
    """The runs in a notebook's saved outputs, in their order, each once.

    Of several copies of a run the vendor MIME type wins over a marker, and of several MIME bundles (`update_display`)
    the last one. Broken blocks are listed unless their run is also there in a whole one.

    A file without any marker is answered from its bytes alone, at memory speed, and only checked at both ends.

    Raises:
        NotebookError: `data` is not a notebook, or only a part of one.
    """
    if MARKER.encode() not in data and RUN_MIME.encode() not in data:
        _check_ends(data, path)
        return []
    found = []
    for index, cell in enumerate(_decode(data, path).cells):
        if cell.cell_type == "code":
            place = Location(path=path, cell=index, cell_id=cell.id)
            found += _runs_in_cell(cell.outputs, place, dot_id)
    return _each_once(found)


def _check_ends(data: bytes, path: str) -> None:
    text = data.removeprefix(b"\xef\xbb\xbf").strip()
    if not (text.startswith(b"{") and text.endswith(b"}")):
        raise NotebookError(f"{path} is not a notebook, or not completely written: {_kind_of(data)}")


def _kind_of(data: bytes) -> str:
    """What a file is that is no JSON object."""
    if not data.strip():
        return "it is empty"
    if data.startswith(LFS_POINTER):
        return "it is a Git LFS pointer; `git lfs pull` fetches the notebook"
    if CONFLICT in data:
        return "it has unresolved Git conflicts"
    return "it is not a JSON object"


def without_cells(document: Any) -> str:
    """What a JSON document is that has no cells where nbformat 4 has them."""
    if isinstance(document, dict) and "worksheets" in document:
        return "it has nbformat 3; opening and saving it in Jupyter upgrades it"
    return "it has no list of cells"


def _decode(data: bytes, path: str) -> _Notebook:
    """Decode only what is needed.

    The slow way is for what msgspec refuses but notebooks have: NaN and lone surrogates, which Python's own JSON writer
    produces, and fields of other types than nbformat says.
    """
    try:
        return _NOTEBOOK.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _as_notebook(decode_slowly(data, path), path)


def decode_slowly(data: bytes, path: str) -> Any:
    """A notebook's JSON, also where it has what only Python's reader takes: NaN and lone surrogates.

    Raises:
        NotebookError: it is no JSON, or only a part of it.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        what = _kind_of(data) if data.lstrip()[:1] != b"{" or CONFLICT in data else str(error)
        raise NotebookError(f"{path} is not a notebook, or not completely written: {what}") from error


def _as_notebook(document: Any, path: str) -> _Notebook:
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        raise NotebookError(f"{path} is not a notebook of nbformat 4: {without_cells(document)}")
    return _Notebook(cells=[_as_cell(cell) for cell in cells])


def _as_cell(cell: Any) -> _Cell:
    if not isinstance(cell, dict):
        return _Cell()
    outputs = cell.get("outputs")
    return _Cell(
        cell_type=as_text(cell.get("cell_type")),
        id=as_text(cell.get("id")) or None,
        outputs=[_as_output(output) for output in outputs] if isinstance(outputs, list) else [],
    )


def _as_output(output: Any) -> _Output:
    if not isinstance(output, dict):
        return _Output()
    data = output.get("data")
    bundle = data if isinstance(data, dict) else {}
    run = json.dumps(bundle[RUN_MIME]).encode() if RUN_MIME in bundle else None
    return _Output(
        output_type=as_text(output.get("output_type")),
        name=as_text(output.get("name")) or None,
        text=as_text(output.get("text")),
        data=_Bundle(run=msgspec.Raw(run) if run else None, text=as_text(bundle.get("text/plain"))),
    )


def as_text(value: Any) -> str:
    """A multi-line string of nbformat: a string or a list of its lines; anything else is no text."""
    if isinstance(value, list):
        return "".join(item for item in value if isinstance(item, str))
    return value if isinstance(value, str) else ""


def _runs_in_cell(outputs: list[_Output], place: Location, dot_id: str | None) -> list[FoundRun]:
    found = [run for name in _STREAMS for run in _runs_in_stream(outputs, name, place, dot_id)]
    for index, output in enumerate(outputs):
        if output.output_type == "display_data":
            where = _at(place, output=index, output_type="display_data")
            found += _runs_in_bundle(output.data, where, dot_id)
    return sorted(found, key=lambda run: run.location.output or 0)


def _runs_in_stream(outputs: list[_Output], name: str, place: Location, dot_id: str | None) -> list[FoundRun]:
    """Runs in what the cell wrote to one stream.

    Its items are read as one text: a slow writer's block can be split over several, with the other stream in between.
    """
    items = [
        (index, as_text(output.text))
        for index, output in enumerate(outputs)
        if output.output_type == "stream" and output.name == name
    ]
    starts = list(accumulate((len(text) for _, text in items), initial=0))
    found = []
    for block in scan("".join(text for _, text in items)):
        index, _ = items[bisect_right(starts, block.start) - 1]
        where = _at(place, output=index, output_type="stream", stream=name)
        found.append(_from_block(block, where, dot_id))
    return found


def _runs_in_bundle(bundle: _Bundle, where: Location, dot_id: str | None) -> list[FoundRun]:
    found = [] if bundle.run is None else [_from_mime(bytes(bundle.run), where, dot_id)]
    return found + [_from_block(block, where, dot_id) for block in scan(as_text(bundle.text))]


def _at(place: Location, **changes: Any) -> Location:
    return msgspec.structs.replace(place, **changes)


def _each_once(found: list[FoundRun]) -> list[FoundRun]:
    """One entry for each run id, at the place of the first: the best carrier, for MIME bundles the last of them."""
    best: dict[str, FoundRun] = {}
    for run in found:
        known = best.get(run.run_id)
        if known is None or _beats(run, known):
            best[run.run_id] = run
    return list(best.values())


def _beats(run: FoundRun, known: FoundRun) -> bool:
    if (run.metadata is None) != (known.metadata is None):
        return known.metadata is None
    if run.carrier == known.carrier:
        return run.carrier == "mime"
    return _CARRIER_RANK[run.carrier] > _CARRIER_RANK[known.carrier]


# ---------------------------------------------------------------------------------- carriers


def _from_block(block: Block, where: Location, dot_id: str | None) -> FoundRun:
    cell = where.line if where.cell is None else where.cell
    run_id = run_id_for(block.wire_id, dot_id=dot_id, path=where.path, cell=cell, body=block.body)
    if block.metadata is None:
        record, errors = None, [block.error or "the block cannot be read"]
    else:
        record, errors = from_wire(block.wire_id, block.metadata, run_id=run_id)
    return FoundRun(
        wire_id=block.wire_id,
        run_id=run_id,
        metadata=block.metadata,
        record=record,
        location=where,
        carrier="marker",
        errors=errors,
    )


def _from_mime(data: bytes, where: Location, dot_id: str | None) -> FoundRun:
    try:
        record = decode_json(data, RunRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _unreadable_mime(data, where, dot_id, str(error))
    return _from_record(record, data, where, dot_id, "mime")


def _from_record(record: RunRecord, data: bytes, where: Location, dot_id: str | None, carrier: Carrier) -> FoundRun:
    """`run_id` is made a UUID where it is none: it names files and rows, and what is in a notebook can be forged."""
    wire_id = record.wire_id or record.run_id
    body = data.decode("utf-8", "replace")
    run_id = run_id_for(record.run_id, dot_id=dot_id, path=where.path, cell=where.cell, body=body)
    record = msgspec.structs.replace(record, run_id=run_id, wire_id=None if wire_id == run_id else wire_id)
    return FoundRun(
        wire_id=wire_id,
        run_id=run_id,
        metadata=to_wire(record),
        record=record,
        location=where,
        carrier=carrier,
    )


def _unreadable_mime(data: bytes, where: Location, dot_id: str | None, error: str) -> FoundRun:
    body = data.decode("utf-8", "replace")
    try:
        wire_id = as_text(json.loads(data).get("run_id"))
    except (ValueError, AttributeError, RecursionError):
        wire_id = ""
    return FoundRun(
        wire_id=wire_id,
        run_id=run_id_for(wire_id, dot_id=dot_id, path=where.path, cell=where.cell, body=body),
        metadata=None,
        record=None,
        location=where,
        carrier="mime",
        errors=[f"the displayed run record cannot be read: {error}"],
    )


def find_runs_in_text(text: str | bytes, *, path: str, dot_id: str | None = None) -> list[FoundRun]:
    """The runs in a log or captured output, each once, in order. Bytes are UTF-8; what is not becomes U+FFFD."""
    if isinstance(text, bytes):
        if MARKER.encode() not in text:
            return []
        text = text.decode("utf-8", "replace")
    found = []
    line, position = 1, 0
    for block in scan(text):
        line += text.count("\n", position, block.start)
        position = block.start
        found.append(_from_block(block, Location(path=path, line=line), dot_id))
    return _each_once(found)


def read_sidecar(data: bytes, path: str) -> FoundRun:
    """The run in a sidecar.

    Raises:
        WireFormatError: `data` is not a run record.
    """
    try:
        record = decode_json(data, RunRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireFormatError(f"{path} is not a run record: {error}") from error
    return _from_record(record, data, Location(path=path), None, "sidecar")


# ---------------------------------------------------------------------------------- layout


def laid_out_alike(output: dict[str, Any]) -> dict[str, Any]:
    """The output with every multi-line string joined: writers differ in whether they split it into lines."""
    alike = {key: joined(value) for key, value in output.items()}
    if isinstance(output.get("data"), dict):
        alike["data"] = {kind: joined(value) for kind, value in output["data"].items()}
    return alike


def joined(value: Any) -> Any:
    """A multi-line string of nbformat, which may be a list of its lines, as one string; anything else as it is."""
    lines = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return "".join(value) if lines else value
