"""Publishing a run: building its record, and handing it to everybody who may be looking.

Carriers, in this order: the *sidecar* in the workspace's state folder, which survives cleared outputs, rate limits and
notebooks that are never saved; the *MIME bundle*, displayed where the code runs in a kernel; elsewhere the *marker* on
the standard output. Imported when the first run is published.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from uuid import uuid4

from msgspec.structs import replace

from dotscience import paths, surroundings
from dotscience.record import FileRef, ModelArtefact, RunRecord, encode_json
from dotscience.record_limits import fit
from dotscience.values import clean_text
from dotscience.warning import warn
from dotscience.wire import marker_for, mime_bundle, to_wire
from dotscience.workspace import RUNS_DIR, STATE_DIR, write_durably

if TYPE_CHECKING:
    from dotscience.recording import CaptureMode, Mode, Run

_warned_roots: set[str] = set()


class PublishedRun:
    """A run that was published: `record` is what was recorded, `url` where a hub that took it shows it (remote mode).

    A notebook does not echo it.
    """

    def __init__(self, record: RunRecord, *, url: str | None = None) -> None:
        self.record = record
        self.url = url

    @property
    def run_id(self) -> str:
        """The id under which every part of Dotscience knows the run."""
        return self.record.run_id

    @property
    def metadata(self) -> dict[str, Any]:
        """The wire-v1 view of the record."""
        return to_wire(self.record)

    def __repr__(self) -> str:
        """Short, for consoles."""
        return f"<dotscience run {self.run_id}>"

    def _ipython_display_(self) -> None:
        """Nothing: the run has just been displayed."""


def publish(
    run: Run,
    mode: Mode | None,
    workload_file: str | None,
    stream: TextIO | None,
    stdout: TextIO | None,
    capture: CaptureMode = "now",
) -> PublishedRun:
    """Give the run a new id, or that of its points; record it, and make it ready for the next publish.

    Args:
        run: must have ended.
        mode: as chosen by the user or told by the environment.
        workload_file: the absolute path of the script, in script mode.
        stream: where the user wants the marker; None for the notebook or `stdout`.
        stdout: the standard output.
        capture: "now" to return once the contents of the run's outputs are held, "background" not to wait for that.
    """
    series = run.take_series()
    run.run_id = series.run_id if series else str(uuid4())
    try:
        return _publish(run, mode, workload_file, stream, stdout, capture)
    finally:
        if series is not None:  # not before the sidecar is there: whoever finds it given back looks for that
            series.close()


def _publish(
    run: Run,
    mode: Mode | None,
    workload_file: str | None,
    stream: TextIO | None,
    stdout: TextIO | None,
    capture: CaptureMode,
) -> PublishedRun:
    root = run.root or _present_root(run)
    tracked = surroundings.is_tracked(root)
    record = build_record(run, root=root, mode=mode, workload_file=workload_file)
    record, cuts = fit(replace(record, place=surroundings.place(root)))
    for cut in cuts:
        warn(f"the run is too large to be recorded whole: {cut}")
    if tracked:
        _capture(record, run, root, capture)
        record = _publish_tracked(record, root, stream, stdout)
    else:
        _show(record, stream, stdout, kept=False)
        _warn_untracked(root)
    run.forget_publish()
    return PublishedRun(record)


def _present_root(run: Run) -> str:
    """The root as it is called now; where it was renamed, so are the files that the run has named."""
    root = surroundings.workspace_root()
    former = surroundings.former_root(root)
    if former != root:
        run.relocate(former, root)
    return root


def _capture(record: RunRecord, run: Run, root: str, mode: CaptureMode) -> None:
    """Before the sidecar: whoever finds that may take the capture to be whole."""
    if record.outputs or record.inputs or run.outputs:
        from dotscience.capture import capture

        capture(record, run, root, hold=mode == "now")


def _publish_tracked(record: RunRecord, root: str, stream: TextIO | None, stdout: TextIO | None) -> RunRecord:
    from dotscience import environment  # only tracked runs name one, and it imports a good deal

    record = replace(record, environment=environment.identity())
    folder = Path(root) / STATE_DIR / RUNS_DIR
    kept = _leave_sidecar(record, folder)
    _show(record, stream, stdout, kept=kept)
    environment.leave(folder, root)
    return record


# ---------------------------------------------------------------------------------- the record


def build_record(
    run: Run, *, root: str | None = None, mode: Mode | None = None, workload_file: str | None = None
) -> RunRecord:
    """The run as a record, with paths relative to `root`."""
    root = root or run.root or surroundings.workspace_root()
    inputs = _inputs(run, root)
    outputs = _outputs(run, root)
    return RunRecord(
        run_id=run.run_id or "",
        description=run.text,
        error=run.failure,
        traceback=run.traceback,
        started_at=run.started_at,
        ended_at=run.ended_at,
        mode=mode,
        workload_file=_workload_file(mode, workload_file, root),
        parameters=dict(run.parameters),
        summary=dict(run.metrics),
        labels=dict(run.labels),
        inputs=inputs,
        outputs=outputs,
        models=_models(run, root),
        warnings=_warnings(inputs, outputs),
    )


def build_live_record(run: Run, run_id: str, root: str) -> RunRecord:
    """A run that is going on, as it is now; without files, which are only known in the end."""
    return RunRecord(
        run_id=run_id,
        description=run.text,
        started_at=run.started_at,
        workload_file=_workload_file(None, None, root),
        parameters=dict(run.parameters),
        labels=dict(run.labels),
        place=surroundings.place(root),
    )


def _inputs(run: Run, root: str) -> list[FileRef]:
    named = run.inputs.items()
    return _sorted(_file_ref(path, root, missing=seen is None and not os.path.lexists(path)) for path, seen in named)


def _outputs(run: Run, root: str) -> list[FileRef]:
    found = {path for named in run.outputs for path in paths.files_below(named)}
    return _sorted(_file_ref(path, root, missing=not os.path.lexists(path)) for path in found)


def _sorted(files: Any) -> list[FileRef]:
    """Each path once, in order."""
    return [file for _, file in sorted({file.path: file for file in files}.items())]


def _file_ref(path: str, root: str, *, missing: bool) -> FileRef:
    seen = paths.rooted(path, root)
    return FileRef(path=clean_text(seen.path), outside=seen.outside, missing=missing)


def _models(run: Run, root: str) -> list[ModelArtefact]:
    return [
        ModelArtefact(
            name=name,
            type=model.type,
            version=model.version,
            files={role: clean_text(paths.rooted(path, root).path) for role, path in model.files.items()},
        )
        for name, model in run.models.items()
    ]


def _warnings(inputs: list[FileRef], outputs: list[FileRef]) -> list[str]:
    named = [("input", file) for file in inputs] + [("output", file) for file in outputs]
    outside = [
        f"the {kind} {file.path} is outside of the workspace: it is not part of any snapshot"
        for kind, file in named
        if file.outside
    ]
    return outside + [f"the {kind} {file.path} does not exist" for kind, file in named if file.missing]


def _workload_file(mode: Mode | None, named: str | None, root: str) -> str | None:
    """The script, relative to the root as the original wrote it. Without a mode the wire does not show it."""
    if mode == "script":
        script = named or sys.argv[0]
        return clean_text(os.path.relpath(paths.relocated(script, surroundings.former_root(root), root), root))
    script = sys.argv[0] if sys.argv else ""
    script = paths.relocated(script, surroundings.former_root(root), root)
    if mode in (None, "remote") and surroundings.kernel_shell() is None and os.path.isfile(script):  # noqa: PTH113 - it is a str
        return clean_text(os.path.relpath(script, root))
    return None


# ---------------------------------------------------------------------------------- the carriers


def _leave_sidecar(record: RunRecord, folder: Path) -> bool:
    """Write the sidecar durably; where that fails, the run's output is what carries it."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        write_durably(folder / f"{record.run_id}.json", encode_json(record))
    except OSError as error:
        warn(f"the run could not be written to {folder} ({error.strerror}); only its output carries it")
        return False
    return True


def _show(record: RunRecord, stream: TextIO | None, stdout: TextIO | None, *, kept: bool) -> None:
    if record.warnings:
        _warn_outside(record)
    shell = surroundings.kernel_shell()
    if stream is not None:
        _write_marker(record, stream)
    elif shell is None or (_is_captured(shell) and not kept):
        _print_marker(record, stdout, kept=kept)
    else:
        _display(record)


def _display(record: RunRecord) -> None:
    from IPython.display import display

    display(mime_bundle(record), raw=True)  # type: ignore[no-untyped-call]


def _is_captured(shell: Any) -> bool:
    """Whether `%%capture` swallows what is displayed."""
    from IPython.core.displaypub import CapturingDisplayPublisher

    return isinstance(shell.display_pub, CapturingDisplayPublisher)


def _print_marker(record: RunRecord, stdout: TextIO | None, *, kept: bool) -> None:
    """Write to the standard output; a closed one must not end a program whose run is kept in its sidecar."""
    if stdout is None:
        return
    try:
        _write_marker(record, stdout)
    except (OSError, ValueError) as error:
        if not kept:
            raise
        warn(f"the run's marker could not be printed ({error}); its sidecar carries it")


def _write_marker(record: RunRecord, stream: TextIO) -> None:
    """One write, so that nothing another thread prints comes between; then flush, as the process may be killed."""
    stream.write(marker_for(record))
    if (flush := getattr(stream, "flush", None)) is not None:
        flush()


def _warn_outside(record: RunRecord) -> None:
    for file in (*record.inputs, *record.outputs):
        if file.outside:
            warn(f"{file.path} is outside of the workspace: the run names it, but no snapshot will hold it")


def _warn_untracked(root: str) -> None:
    """Once for each folder in a process, and not where whoever started the process knows where it works."""
    if root not in _warned_roots and not surroundings.root_is_given():
        _warned_roots.add(root)
        warn(f"{root} is not in a tracked folder: runs are only printed; run `ds init` there to record them")
