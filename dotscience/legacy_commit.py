"""The flat commit metadata of the original hub: how it names what `RunRecord` says.

Keys are dotted, values are strings. What is about a run is under `run.<run id>.`; labels are `label.NAME`, metrics
`summary.NAME`, parameters `parameters.NAME`. The original's clients in remote mode write it themselves.
"""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from dotscience.record import Environment, FileRef, Place
from dotscience.values import clean_text
from dotscience.wire import WIRE_VERSION, file_ref, from_wire, parse_time, run_id_for, to_wire

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from datetime import datetime

    from dotscience.record import RunRecord

COMMIT_TYPE = "dotscience.run.v1"
MAX_RUNS = 1000
MAX_ID_CHARS = 200
MAX_WARNINGS = 20
UNKNOWN = "unknown"
_GROUPS = {"labels": "label", "summary": "summary", "parameters": "parameters"}
_TEXTS = ("version", "description", "error", "start", "end")


def remote_commit(record: RunRecord, *, author: str, output_files: Sequence[str]) -> dict[str, str]:
    """The metadata of a commit that holds one run of code outside of the hub.

    Inputs are left out: the format ties each to a commit of the workspace (`path@commit`), and such code has none.

    Args:
        record: with both of its times.
        author: the hub's name for who publishes.
        output_files: the outputs that the commit holds, relative to the root.
    """
    wire = to_wire(record)
    commit = {
        "author": author,
        "exec.start": wire["start"],
        "exec.end": wire["end"],
        "exec.logs": "[]",
        "runner.name": platform.node(),
        "runner.platform": platform.system(),
        "runner.platform_version": platform.version(),
        "runs": json.dumps([record.run_id]),
        "workload.type": "remote",
        "type": COMMIT_TYPE,
    }
    about_run = _about_run(record, wire) | {"output-files": json.dumps(list(output_files))}
    return commit | {f"run.{record.run_id}.{key}": value for key, value in about_run.items()}


def _about_run(record: RunRecord, wire: dict[str, dict[str, str] | str]) -> dict[str, str]:
    about = {key: text for key in _TEXTS if isinstance(text := wire.get(key), str)}
    for key, prefix in _GROUPS.items():
        group = wire[key]
        assert isinstance(group, dict)  # noqa: S101 - for the type checker: wire v1 always has it
        about |= {f"{prefix}.{name}": value for name, value in group.items()}
    about["authority"] = "remote"
    workload_file = record.workload_file or (record.place and record.place.notebook)
    return about | ({"workload-file": workload_file} if workload_file else {})


def describe_commit(runs: Sequence[RunRecord], *, author: str, message: str, created_at: datetime) -> dict[str, str]:
    """The metadata of a commit that is there already, with its runs; `timestamp` counts nanoseconds."""
    commit = {"author": author, "message": message, "timestamp": f"{int(created_at.timestamp() * 1e6)}000"}
    if not runs:
        return commit
    commit |= {"type": COMMIT_TYPE, "runs": json.dumps([record.run_id for record in runs])}
    for record in runs:
        about = _about_run(record, to_wire(record)) | {
            "authority": record.authority,
            "input-files": json.dumps(
                [f"{file.path}@{file.commit}" if file.commit else file.path for file in record.inputs]
            ),
            "output-files": json.dumps([file.path for file in record.outputs]),
        }
        commit |= {f"run.{record.run_id}.{key}": value for key, value in about.items()}
    return commit


# ---------------------------------------------------------------------------------- reading

_RUN = "run."
_LISTS = {"input-files": "input", "output-files": "output"}
_ABOUT_COMMIT = frozenset(
    {"author", "message", "timestamp", "date", "type", "success", "runs", "exec.start", "exec.end", "exec.logs"}
    | {"runner.name", "runner.platform", "runner.platform_version", "workload.type"}
)
"""What is known of a commit as a whole: kept with it or its runs, or of no meaning outside of the original hub."""


class RunsReading(NamedTuple):
    """The runs of a commit, and what was wrong with its metadata as a whole; each record has what concerns itself."""

    records: list[RunRecord]
    errors: list[str]


def read_runs(metadata: Mapping[str, str], *, dot_id: str) -> RunsReading:
    """The runs that a commit's metadata describe, with authority "remote": whoever writes it is no committer.

    Never raises: what cannot be read is left out and said to be, in the record's warnings or the reading's errors.
    """
    names, errors = _run_ids(metadata)
    by_run, others = _grouped(metadata, names)
    place = Place(host=clean_text(metadata["runner.name"])) if metadata.get("runner.name") else None
    lost = [f"the commit's {_short(key)} is not kept" for key in sorted(others) if key not in _ABOUT_COMMIT]
    records = []
    for name, about in by_run.items():
        record, wrong = _read_run(name, about, dot_id)
        errors += wrong
        records += [_with_warnings(replace(record, place=place), lost)] if record is not None else []
    return RunsReading(records, errors)


def runner_environment(metadata: Mapping[str, str], captured_at: datetime) -> Environment | None:
    """What a commit's metadata say about where its runs ran; None where they say nothing."""
    told = [metadata[key] for key in ("runner.platform", "runner.platform_version") if metadata.get(key)]
    if not told:
        return None
    return Environment(
        captured_at=parse_time(metadata.get("exec.end", "")) or captured_at,
        python=UNKNOWN,
        implementation=UNKNOWN,
        platform=clean_text(" ".join(told)),
        hostname=clean_text(metadata.get("runner.name", UNKNOWN)),
        executable=UNKNOWN,
    )


def _run_ids(metadata: Mapping[str, str]) -> tuple[list[str], list[str]]:
    text = metadata.get("runs")
    if text is None:
        return [], []
    names = _strings(text)
    if names is None or len(names) > MAX_RUNS or any(len(name) > MAX_ID_CHARS for name in names):
        return [], [f"runs is {_short(text)}, not a JSON list of at most {MAX_RUNS} run ids"]
    return list(dict.fromkeys(names)), []


def _grouped(metadata: Mapping[str, str], names: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """What is said about each run, and the keys that are about none."""
    by_run: dict[str, dict[str, str]] = {name: {} for name in names}
    others = []
    for key, value in metadata.items():
        name = _run_of(key, by_run)
        if name is None:
            others.append(key)
        else:
            by_run[name][key[len(f"{_RUN}{name}.") :]] = value
    return by_run, others


def _run_of(key: str, names: Container[str]) -> str | None:
    """The run that a key is about: of ids that hold dots the longest that fits."""
    end = len(_RUN) + MAX_ID_CHARS + 1
    while key.startswith(_RUN) and (end := key.rfind(".", len(_RUN), end)) >= 0:
        if key[len(_RUN) : end] in names:
            return key[len(_RUN) : end]
    return None


def _read_run(name: str, about: Mapping[str, str], dot_id: str) -> tuple[RunRecord | None, list[str]]:
    wire, lost = _to_wire(about)
    run_id = run_id_for(name, dot_id=dot_id, path="", cell=None, body=json.dumps(about, sort_keys=True))
    reading = from_wire(name, wire, run_id=run_id)
    if reading.record is None:
        return None, [f"run {_short(name)}: {error}" for error in reading.errors]
    inputs = [_input(file) for file in reading.record.inputs]
    record = replace(reading.record, authority="remote", mode="remote", inputs=inputs)
    return _with_warnings(record, [*reading.errors, *lost]), []


def _to_wire(about: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Wire v1 of what is said about a run, and what there is no place for in it."""
    groups: dict[str, dict[str, str]] = {key: {} for key in _GROUPS}
    wire: dict[str, Any] = {"version": WIRE_VERSION, "input": [], "output": [], **groups}
    lost = []
    for key, value in about.items():
        group = next((group for group, prefix in _GROUPS.items() if key.startswith(prefix + ".")), None)
        if group is not None:
            groups[group][key.removeprefix(_GROUPS[group] + ".")] = value
        elif key in _LISTS:
            files = _strings(value)
            wire[_LISTS[key]] = value if files is None else files
        elif key in (*_TEXTS, "workload-file"):
            wire[key] = value
        elif key != "authority":
            lost.append(f"the run's {_short(key)} is not kept")
    return wire, lost


def _input(file: FileRef) -> FileRef:
    """An input with the commit that it names, if it does: `path@commit`."""
    path, at, commit = file.path.rpartition("@")
    return replace(file_ref(path), commit=commit) if at and path and commit and "/" not in commit else file


def _strings(text: str) -> list[str] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and all(isinstance(item, str) for item in found) else None


def _with_warnings(record: RunRecord, warnings: Sequence[str]) -> RunRecord:
    told = [*record.warnings, *warnings]
    more = [f"and {len(told) - MAX_WARNINGS} more"] if len(told) > MAX_WARNINGS else []
    return replace(record, warnings=[*told[:MAX_WARNINGS], *more]) if warnings else record


def _short(text: str) -> str:
    return repr(text[:60])
