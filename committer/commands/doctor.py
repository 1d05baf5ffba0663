"""`ds doctor`: how snapshots are taken here, why so, and what would make them faster or firmer."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from committer.commands import place
from dotscience import wording
from dotscience.invocation import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from committer.settings import CommitterSettings
    from committer.storage.ignore import IgnoreRules
    from dotscience.workspace import Workspace

WATCH_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")
MEANINGS = {
    "zfs": "a ZFS snapshot holds everything still, and nothing is looked at when ZFS knows of no change",
    "reflink": "large files are cloned, and read only where they changed",
    "watch": "only folders in which something was seen to change are looked at",
    "stat": "all folders are looked at; files that look unchanged are not read",
}


class Check(NamedTuple):
    """One thing that was looked at: `state` is `ok`, `hint` (could be better) or `problem`."""

    name: str
    state: str
    detail: str
    advice: str = ""


@click.command(
    epilog="""\b
Examples:
  ds doctor                        what is fast here, what is not, and why
  ds doctor --json | jq .checks
"""
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(*, as_json: bool) -> None:
    """Look at how snapshots of this workspace are taken.

    It says which change source is in use and why, and what would be faster or hold files more still. Nothing is
    changed; the exit status is 1 where there is a problem.
    """
    from committer.log import configure_when_needed
    from dotscience.workspace import open_workspace

    configure_when_needed(logging.WARNING)
    workspace = open_workspace()
    checks = list(_checks(workspace, place.settings_of(workspace.root)))
    if as_json:
        click.echo(json.dumps({"root": str(workspace.root), "checks": [one._asdict() for one in checks]}))
    else:
        for one in checks:
            _print(one)
    sys.exit(1 if any(one.state == "problem" for one in checks) else 0)


def _print(one: Check) -> None:
    mark, color = {"ok": ("ok", "green"), "hint": ("hint", "yellow")}.get(one.state, ("PROBLEM", "red"))
    click.echo(f"{click.style(f'{mark:8}', fg=color)}{one.name}: {wording.printable(one.detail)}")
    if one.advice:
        click.echo(f"        {wording.printable(spelled(one.advice))}")


def _checks(workspace: Workspace, settings: CommitterSettings) -> Iterator[Check]:
    from committer.present_status import present_status

    status = present_status(workspace, settings)
    yield _committer(status)
    yield from _reading(workspace, settings, status)
    yield _watches(workspace)
    yield _room(workspace, settings)
    yield _hub(status)


def _committer(status: dict[str, Any]) -> Check:
    if status["state"] == "stopped":
        return Check("committer", "hint", "none runs", "`ds up` or `ds committer` records runs as they happen")
    if status["error"]:
        return Check("committer", "problem", status["error"]["detail"], status["error"]["hint"])
    return Check("committer", "ok", status["message"])


def _reading(workspace: Workspace, settings: CommitterSettings, status: dict[str, Any]) -> Iterator[Check]:
    from dotscience.errors import ConfigError

    try:
        reading = status.get("reading") or _try_out(workspace, settings)
    except ConfigError as error:
        yield Check("change source", "problem", str(error), 'set change_source to "auto"')
        return
    if reading is None:
        return
    yield Check("change source", "ok", f"{reading['name']}: {MEANINGS[reading['name']]}")
    yield Check("consistency", "ok", f"{reading['consistency']}: {_consistency(reading['consistency'])}")
    if reading["name"] != "zfs" and not reading["watching"]:
        yield Check(
            "watching", "hint", "changes are not watched for", 'a running committer does, unless `watch` is "poll"'
        )
    for one in reading["refused"]:
        yield Check(one["name"], "hint", f"not in use: {one['reason']}", f"there, {MEANINGS[one['name']]}")


def _try_out(workspace: Workspace, settings: CommitterSettings) -> dict[str, Any] | None:
    import msgspec

    from committer.reading_status import try_out
    from committer.tenure import hold_root
    from dotscience.errors import RootIsTaken

    try:
        with hold_root(workspace.root):
            found: dict[str, Any] = msgspec.to_builtins(try_out(workspace, settings))
    except RootIsTaken:  # a committer that starts just now
        return None
    return found


def _consistency(level: str) -> str:
    return {
        "atomic": "every file is as it was at one moment",
        "file-atomic": "each large file is as it was at one moment, all others did not change while they were read",
        "stable": "no file changed while it was read",
    }[level]


def _watches(workspace: Workspace) -> Check:
    """Each folder takes one watch of inotify(7), and a user has only so many."""
    folders = _count_folders(workspace.root, place.rules_of(workspace))
    try:
        limit = int(WATCH_LIMIT.read_text())
    except (OSError, ValueError):
        return Check("watches", "hint", "this system has no inotify", "changes are looked for at intervals")
    detail = f"{wording.counted(folders, 'folder')} of at most {limit:,}"
    if folders < 0.8 * limit:
        return Check("watches", "ok", detail)
    return Check("watches", "hint", detail, f"raise it: sudo sysctl fs.inotify.max_user_watches={4 * limit}")


def _count_folders(root: Path, rules: IgnoreRules) -> int:
    import os

    count, prefix = 0, len(os.fsencode(root)) + 1
    for folder, names, _ in os.walk(os.fsencode(root)):
        count += 1
        inside = (folder + b"/")[prefix:]
        names[:] = [name for name in names if not rules.excludes_entry(inside + name, directory=True)]
    return count


def _room(workspace: Workspace, settings: CommitterSettings) -> Check:
    free = shutil.disk_usage(place.store_of(workspace).parent).free
    detail = f"{wording.size(free)} free; snapshots stop below {wording.size(settings.min_free_bytes)}"
    if free < settings.min_free_bytes:
        return Check("disk", "problem", detail, "make room; runs are kept and committed then")
    return Check("disk", "ok" if free > 4 * settings.min_free_bytes else "hint", detail)


def _hub(status: dict[str, Any]) -> Check:
    hub, unpushed = status["hub"], status["unpushed"]
    if hub is None:
        return Check("hub", "hint", "none is bound; commits stay on this disk", "`ds init --hub URL` or `ds up`")
    waiting = f"{wording.counted(unpushed, 'commit')} not pushed yet" if unpushed else "everything is pushed"
    if hub["unreachable_since"]:
        return Check("hub", "problem", f"{hub['url']} does not answer; {waiting}")
    return Check("hub", "ok", f"{hub['url']}; {waiting}")
