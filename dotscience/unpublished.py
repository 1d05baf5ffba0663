"""What a process leaves when it ends: runs that were never published, and values recorded after the last publish.

A run that was started and never published is recorded when its process or kernel ends, with the label `unpublished`;
`DOTSCIENCE_UNPUBLISHED=off` leaves it out. Values that came after a run's last publish are said once, on the standard
error. Imported when a process ends that has recorded something.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from dotscience import surroundings

if TYPE_CHECKING:
    from dotscience.recording import Run
    from dotscience.tracking import Dotscience

LABEL = "unpublished"
_NAMED = 10


def leave(tracker: Dotscience, ended_by: str | None = None) -> None:
    """Record or mention what the tracker's current run has that was not published.

    `ended_by` is the signal that ends the process. Never publishes to a hub, and nothing in a process that was forked
    after the run began: it is its parent's.
    """
    run = tracker.unfinished()
    if run is None or run.pid != os.getpid() or run.publish_error is not None:
        return
    if run.run_id is not None:
        _mention(run)
    elif _is_to_be_recorded(run):
        _record(tracker, run, ended_by)


def _is_to_be_recorded(run: Run) -> bool:
    """In a kernel, `start()` alone is a typo more often than a run; elsewhere a script that does it is one."""
    root = run.root or surroundings.workspace_root()
    wanted = run.touched or surroundings.kernel_shell() is None
    return wanted and run.is_local and surroundings.is_tracked(root) and surroundings.records_unpublished()


def _record(tracker: Dotscience, run: Run, ended_by: str | None) -> None:
    run.add_label(LABEL, True)
    if ended_by is not None:
        run.set_error(f"ended by {ended_by}")
    published = tracker.publish_run(run, io.StringIO())  # its sidecar carries it: nothing more is to be printed
    _say(
        f"the run {published.run_id[:8]} was never published; it is recorded with the label {LABEL!r} "
        "(call ds.publish() when it is done, or set DOTSCIENCE_UNPUBLISHED=off)"
    )


def _mention(run: Run) -> None:
    names = run.recorded_since_publish()
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        _say(
            f"recorded after the last ds.publish() and not published: {', '.join(names[:_NAMED])}{more}; "
            "call ds.publish() after them"
        )


def _say(message: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # the standard error may be closed, or none
        print(f"dotscience: {message}", file=sys.stderr)  # noqa: T201 - for people
