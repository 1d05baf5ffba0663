"""Run records on the wire: wire v1, the marker that carries it in text, and the MIME bundle.

*Wire v1* is the JSON object that the original Dotscience library printed: `version` "1", `input`, `output`, `labels`,
`parameters`, `summary` and, where they are set, `description`, `error`, `start`, `end`, `workload-file`; every value is
a string. The *marker* is `[[DOTSCIENCE-RUN:id]]` + wire v1 + `[[/DOTSCIENCE-RUN:id]]`. The `RunRecord` is the typed
form of the same facts; `to_wire` and `from_wire` are the only places where one becomes the other.

`docs/wire-format.md` describes the format for people who write it from other languages.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeGuard
from uuid import UUID, uuid5

from dotscience.record import (
    RUN_MIME,
    FileRef,
    ModelArtefact,
    RunRecord,
    Value,
    encode_json,
)
from dotscience.values import clean_text

WIRE_VERSION = "1"
MODEL_LABEL = "artefact:"
WIRE_TIME = "%Y%m%dT%H%M%S.%f"

_NAMESPACE = UUID("6f5d1c1e-5a0e-5c0b-9d4e-0d075c1e9ce0")
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?", re.ASCII)


# ---------------------------------------------------------------------------------- identity


def run_id_for(wire_id: str, *, dot_id: str | None, path: str, cell: int | None, body: str) -> str:
    """The run id of a block: its wire id where that is a canonical UUID, else a UUID derived from place and content.

    The derived id is the same for the same block in the same dot, so reading a notebook again finds the same run.
    Threads made the original library write blocks whose id is `None`; two with different bodies stay two runs.
    """
    if _CANONICAL_UUID.fullmatch(wire_id):
        return wire_id.lower()
    digest = hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
    place = path.encode("utf-8", "backslashreplace").decode()
    return str(uuid5(_namespace(dot_id), f"{place}\n{cell}\n{digest}"))


def _namespace(dot_id: str | None) -> UUID:
    if dot_id is None:
        return _NAMESPACE
    return UUID(dot_id) if _CANONICAL_UUID.fullmatch(dot_id) else uuid5(_NAMESPACE, dot_id)


# ---------------------------------------------------------------------------------- writing


def to_wire(record: RunRecord) -> dict[str, Any]:
    """The wire-v1 view of a record: what the original library would have printed for the same run."""
    labels = {name: str(value) for name, value in record.labels.items()}
    labels |= {MODEL_LABEL + model.name: _encode_model(model) for model in record.models}
    metadata: dict[str, Any] = {
        "version": WIRE_VERSION,
        "input": sorted({file.path for file in record.inputs}),
        "output": sorted({file.path for file in record.outputs}),
        "labels": labels,
        "parameters": {name: str(value) for name, value in record.parameters.items()},
        "summary": {name: str(value) for name, value in record.summary.items()},
    }
    optional = {
        "description": record.description,
        "error": record.error,
        "start": record.started_at and format_time(record.started_at),
        "end": record.ended_at and format_time(record.ended_at),
        "workload-file": record.workload_file if record.mode == "script" else None,
    }
    return metadata | {key: value for key, value in optional.items() if value is not None}


def format_time(time: datetime) -> str:
    """A time as wire v1 writes it: UTC without a zone, six decimals."""
    return time.astimezone(UTC).strftime(WIRE_TIME)


def encode_marker(wire_id: str, metadata: dict[str, Any]) -> str:
    """The marker as this library writes it: one line of ASCII, on a line of its own.

    One line, because a carriage return (progress bars) makes JupyterLab overwrite the *first* line of what follows;
    a leading newline, because then there is nothing on that line to overwrite.
    """
    body = json.dumps(metadata, sort_keys=True, separators=(",", ":"))
    return f"\n[[DOTSCIENCE-RUN:{wire_id}]]{body}[[/DOTSCIENCE-RUN:{wire_id}]]\n"


def marker_for(record: RunRecord) -> str:
    """The marker that carries `record`."""
    return encode_marker(record.wire_id or record.run_id, to_wire(record))


def mime_bundle(record: RunRecord) -> dict[str, Any]:
    """What a kernel displays: the record for readers that know it, the marker as text for all others."""
    return {
        RUN_MIME: json.loads(encode_json(record)),
        "text/plain": marker_for(record).strip(),
    }


def _encode_model(model: ModelArtefact) -> str:
    content: dict[str, Any] = {"files": model.files, "type": model.type}
    if model.version is not None:
        content["version"] = model.version
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


# ---------------------------------------------------------------------------------- reading


class Reading(NamedTuple):
    """A record read from wire v1, and what was wrong with it; wrong fields are left out of the record."""

    record: RunRecord | None
    errors: list[str]


def from_wire(wire_id: str, metadata: dict[str, Any], *, run_id: str) -> Reading:
    """Read wire v1. Never raises: what is missing or has the wrong type is reported and left out.

    The record is None for any other version than "1". Values stay the strings that they are on the wire.
    """
    version = metadata.get("version")
    if version != WIRE_VERSION:
        return Reading(None, [f"version is {_short(version)}; only version {WIRE_VERSION!r} can be read"])
    return _WireReader(metadata).read(wire_id, run_id)


class _WireReader:
    """Takes one wire-v1 object apart, collecting errors."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.metadata = metadata
        self.errors: list[str] = []

    def read(self, wire_id: str, run_id: str) -> Reading:
        labels, models = self.labels_and_models()
        workload_file = self.text("workload-file")
        record = RunRecord(
            run_id=run_id,
            wire_id=None if wire_id == run_id else clean_text(wire_id),
            description=self.text("description"),
            error=self.text("error"),
            started_at=self.time("start"),
            ended_at=self.time("end"),
            mode=None if workload_file is None else "script",
            workload_file=workload_file,
            parameters=dict(self.strings("parameters")),
            summary=dict(self.strings("summary")),
            labels=labels,
            inputs=self.files("input"),
            outputs=self.files("output"),
            models=models,
        )
        return Reading(record, self.errors)

    def text(self, key: str) -> str | None:
        value = self.metadata.get(key)
        if value is None or isinstance(value, str):
            return None if value is None else clean_text(value)
        self.errors.append(f"{key} is {_short(value)}, not a string; it is ignored")
        return None

    def time(self, key: str) -> datetime | None:
        text = self.text(key)
        if text is None:
            return None
        time = parse_time(text)
        if time is None:
            self.errors.append(f"{key} is {_short(text)}, not a time like 20200204T101112.131415; it is ignored")
        return time

    def files(self, key: str) -> list[FileRef]:
        value = self.metadata.get(key)
        if not isinstance(value, list):
            self.errors.append(f"{key} is {_short(value)}, not a list of paths; it is ignored")
            return []
        wrong = [item for item in value if not isinstance(item, str) or not item]
        if wrong:
            self.errors.append(f"{key} holds {_short(wrong[0])}, which is not a path; it is ignored")
        paths = {clean_text(item) for item in value if isinstance(item, str) and item}
        return [file_ref(path) for path in sorted(paths)]

    def strings(self, key: str) -> dict[str, str]:
        value = self.metadata.get(key)
        if not isinstance(value, dict):
            self.errors.append(f"{key} is {_short(value)}, not an object of strings; it is ignored")
            return {}
        wrong = [name for name, item in value.items() if not isinstance(item, str)]
        if wrong:
            self.errors.append(f"{key} {_short(wrong[0])} is {_short(value[wrong[0]])}, not a string; it is ignored")
        return {clean_text(name): clean_text(item) for name, item in value.items() if isinstance(item, str)}

    def labels_and_models(self) -> tuple[dict[str, Value], list[ModelArtefact]]:
        labels: dict[str, Value] = {}
        models = []
        for name, text in self.strings("labels").items():
            model = _decode_model(name, text)
            if model is not None:
                models.append(model)
                continue
            labels[name] = text
            if name.startswith(MODEL_LABEL):
                self.errors.append(f"label {_short(name)} does not describe a model; it is kept as a label")
        return labels, models


def parse_time(text: str) -> datetime | None:
    """The inverse of `format_time`; None where `text` is not such a time."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    *whole, fraction = match.groups()
    try:
        year, month, day, hour, minute, second = map(int, whole)
        microsecond = int((fraction or "0").ljust(6, "0")[:6])
        return datetime(year, month, day, hour, minute, second, microsecond, UTC)
    except ValueError:
        return None


def file_ref(path: str) -> FileRef:
    """A path from the wire as a reference; one that leaves the root, which the original could write, is `outside`."""
    clean = posixpath.normpath(path)
    outside = clean == ".." or clean.startswith(("/", "../"))
    return FileRef(path=clean, outside=outside)


def _decode_model(label: str, text: str) -> ModelArtefact | None:
    if not label.startswith(MODEL_LABEL):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    kind, version, files = content.get("type"), content.get("version"), content.get("files")
    if not isinstance(kind, str) or not _is_strings(files) or not isinstance(version, str | None):
        return None
    return ModelArtefact(
        name=label.removeprefix(MODEL_LABEL),
        type=clean_text(kind),
        version=None if version is None else clean_text(version),
        files={clean_text(role): clean_text(path) for role, path in files.items()},
    )


def _is_strings(value: object) -> TypeGuard[dict[str, str]]:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _short(value: object) -> str:
    """A hostile value for an error message: one line, at most 60 characters, printable everywhere."""
    text = ascii(value if not isinstance(value, str) else value[:80])
    return text if len(text) <= 60 else text[:57] + "..."
