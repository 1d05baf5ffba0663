"""Runs and commits as typed, immutable data; no I/O.

Glossary: a *run* is one execution that was published or inferred; a *commit* is an immutable snapshot of a dot together
with the runs that it holds; a *dot* is a versioned filesystem, named by a UUID made when its folder is initialised.

Two encodings, each chosen for its readers:

* `RunRecord` and `Environment` travel as JSON objects. The bytes that `encode_json` returns are what the sidecar, the
  MIME bundle, the object store and the hub's run table hold; the hub hands them to clients untouched.
* `Commit` travels as a msgpack array with fixed field order, as do the trees of the object store: its hash names it.

All times are timezone-aware UTC. All hashes are 32 bytes of BLAKE3, written as 64 lower-case hex digits in JSON.
"""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta, Struct, ValidationError, field
from msgspec import json as msgspec_json

RUN_MIME = "application/vnd.dotscience.run.v1+json"
MAX_NESTING = 64
"""Lists and mappings within a value; the library itself writes at most 32."""

Value = None | bool | int | float | str | list[Any] | dict[str, Any]
"""A parameter, label or summary value. NaN and infinities are the strings "nan", "inf", "-inf": JSON has no others."""

UtcTime = Annotated[datetime, Meta(tz=True)]
Authority = Literal["workload", "derived", "correction", "remote"]
Mode = Literal["interactive", "script", "remote"]
Consistency = Literal["atomic", "file-atomic", "stable", "fuzzy"]


class FileRef(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A file that a run read or wrote.

    `path` is relative to the dot's root, `/`-separated, without `.` or `..`, unless `outside` is true: then it is
    absolute and has no content hash. The committer fills `content_hash` and `size` with those of the content that the
    run read or wrote; where that is not known they are absent, and one of these says why: `changed_after_read` (an
    input was changed before the snapshot), `overwritten` (an output was, so that the commit holds a later content).
    `observed` files were not named by the run, but seen to have changed with it.
    """

    path: str
    content_hash: str | None = None
    size: int | None = None
    dot: str | None = None
    commit: str | None = None
    missing: bool = False
    outside: bool = False
    changed_after_read: bool = False
    overwritten: bool = False
    observed: bool = False


class ModelArtefact(Struct, frozen=True, kw_only=True):
    """A model that a run produced: `files` maps a role ("model", "classes", …) to a path in the dot."""

    name: str
    type: str
    version: str | None = None
    files: dict[str, str] = field(default_factory=dict)


class Place(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where a run happened, so that it can be placed when its output is gone. `notebook` is relative to the root."""

    notebook: str | None = None
    cell_id: str | None = None
    kernel_id: str | None = None
    host: str | None = None
    pid: int | None = None


class RunRecord(Struct, frozen=True, kw_only=True, tag_field="schema", tag="dotscience.run.v1"):
    """One run. `error` is None for success; any string, even an empty one, is a failure.

    `wire_id` is set only when the id on the wire is not a UUID; `run_id` always is one.
    `environment` is the environment's id in a sidecar, and the hash of its object once committed. A time whose year has
    no number in UTC is a ValueError: nobody could show or sort it.
    """

    run_id: str
    wire_id: str | None = None
    authority: Authority = "workload"
    description: str | None = None
    error: str | None = None
    traceback: str | None = None
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    mode: Mode | None = None
    workload_file: str | None = None
    parameters: dict[str, Value] = field(default_factory=dict)
    summary: dict[str, Value] = field(default_factory=dict)
    labels: dict[str, Value] = field(default_factory=dict)
    inputs: list[FileRef] = field(default_factory=list)
    outputs: list[FileRef] = field(default_factory=list)
    models: list[ModelArtefact] = field(default_factory=list)
    place: Place | None = None
    environment: str | None = None
    notebook_stale: bool = False
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for time in (self.started_at, self.ended_at):
            if time is not None and time.year in (MINYEAR, MAXYEAR):
                _check_in_utc(time)


def _check_in_utc(time: datetime) -> None:
    try:
        time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"the time {time.isoformat()} is outside of the calendar in UTC") from error


class Environment(Struct, frozen=True, kw_only=True, tag_field="schema", tag="dotscience.environment.v1"):
    """What a run ran on and with; `variables` holds allow-listed environment variables only."""

    captured_at: UtcTime
    python: str
    implementation: str
    platform: str
    hostname: str
    executable: str
    cpu: str | None = None
    cpu_count: int | None = None
    ram_bytes: int | None = None
    gpus: list[str] = field(default_factory=list)
    git_commit: str | None = None
    git_dirty: bool | None = None
    packages: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


class CommitStats(Struct, frozen=True, array_like=True):
    """What the snapshot held and what it cost; sizes in bytes."""

    files: int = 0
    size: int = 0
    new_bytes: int = 0
    duration_ms: int = 0


class Commit(Struct, frozen=True, array_like=True, kw_only=True):
    """An immutable snapshot of a dot. Its id is the BLAKE3 hash of its encoded bytes.

    `runs` lists (run id, hash of the run's JSON object) in the order in which the runs were noticed. `unstable` names
    the files that kept changing while they were read; it is empty unless `consistency` is "fuzzy".
    """

    version: int = 1
    dot_id: str
    parents: list[bytes]
    root: bytes
    runs: list[tuple[str, bytes]]
    created_at: UtcTime
    message: str
    author: str
    client: str
    consistency: Consistency
    unstable: list[bytes] = field(default_factory=list)
    stats: CommitStats = CommitStats()


T = TypeVar("T", RunRecord, Environment)


def encode_json(document: RunRecord | Environment) -> bytes:
    """The document's canonical JSON: fields in declared order, mapping keys sorted, no insignificant white space."""
    return msgspec_json.encode(document, order="deterministic")


def decode_json(data: bytes | str, kind: type[T]) -> T:
    """The inverse of `encode_json`; unknown fields are ignored so that older readers survive newer writers.

    Raises:
        msgspec.ValidationError: `data` is JSON, but not a document of this kind, or one with values nested too deeply.
        msgspec.DecodeError: `data` is not JSON.
    """
    try:
        document = msgspec_json.decode(data, type=kind)
    except RecursionError as error:
        raise ValidationError(str(error)) from error
    if _nests_too_deeply(document):
        raise ValidationError(f"a value nests deeper than {MAX_NESTING} lists and mappings")
    return document


def _nests_too_deeply(document: RunRecord | Environment) -> bool:
    """Whether a value could not be encoded again from everywhere: encoders recurse, and callers have stacks already."""
    if isinstance(document, Environment):  # which holds strings only
        return False
    level: list[Any] = [document.parameters, document.summary, document.labels]
    for _ in range(MAX_NESTING + 1):
        children = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for items in children for child in items if isinstance(child, dict | list)]
    return bool(level)
