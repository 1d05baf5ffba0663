"""The committer's settings: defaults < `.dotscience/config.toml`, `[committer]` < `DS_COMMITTER_*` variables.

Read once, by the process that becomes the committer; everything else is handed what it needs.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from committer.sync.pacing import MIN_BYTES_PER_S
from dotscience.errors import ConfigError
from dotscience.workspace import STATE_DIR

CONFIG_FILE = "config.toml"
SECTION = "committer"
PREFIX = "DS_COMMITTER_"


class CommitterSettings(Struct, frozen=True, kw_only=True):
    """How one workspace's committer behaves; times in seconds, sizes in bytes.

    Attributes:
        publish_grace_s: How long a published run waits for notebooks to be saved, its own or that of another run.
        debounce_s: How long a file must be quiet before it is read.
        environment_wait_s: How long a commit waits for an environment file that a run names.
        unreadable_after_s: How long a notebook may fail to parse before the status says so.
        derived_runs: Which saves without a published run become runs: those that executed cells, every one, or none.
        derived_quiet_s: How long a notebook must be unchanged before its derived run closes.
        min_free_bytes: Snapshots stop below this much free space.
        hub_check_s: How often an idle committer asks whether the hub is there and still has everything.
        retry_max_s: The longest pause between two attempts to reach the hub.
        upload_concurrency: How many packs are uploaded at a time.
        upload_limit: The bytes per second that all uploads take together; 0 is no limit.
        zfs_send: Whether the dataset of a workspace on ZFS is sent to the hub, too, which is to trust this machine.
        watch: "auto" uses inotify and polls where that is exhausted; "poll" always polls.
        poll_interval_s: How often polling looks.
        change_source: How snapshots find what changed; "auto" takes the best that the file system allows.
        local_store_max: Above this size, contents that the hub has are dropped from this disk, the oldest first.
        points_max: Above this size, points of runs that are over wait no longer for a hub; the oldest go first.
        state_dir: Where the store and journal live instead of the workspace's `.dotscience`.
    """

    publish_grace_s: float = 5.0
    debounce_s: float = 0.5
    environment_wait_s: float = 2.0
    unreadable_after_s: float = 5.0
    derived_runs: Literal["executed", "every_save", "off"] = "executed"
    derived_quiet_s: float = 10.0
    min_free_bytes: int = 1 << 30
    hub_check_s: float = 60.0
    retry_max_s: float = 60.0
    upload_concurrency: Annotated[int, Meta(ge=1, le=8)] = 2
    upload_limit: Annotated[int, Meta(ge=0)] = 0
    zfs_send: Literal["off", "trusted"] = "off"
    watch: Literal["auto", "poll"] = "auto"
    poll_interval_s: float = 2.0
    change_source: Literal["auto", "zfs", "reflink", "watch", "stat"] = "auto"
    local_store_max: int = 10 << 30
    points_max: Annotated[int, Meta(ge=0)] = 256 << 20
    state_dir: str = ""

    def __post_init__(self) -> None:
        """Refuse what no hub would wait for.

        Raises:
            ValueError: the limit is too low for a pack to arrive before the hub gives it up.
        """
        least = MIN_BYTES_PER_S * (2 if self.zfs_send == "trusted" else 1)
        if 0 < self.upload_limit < least:
            raise ValueError(
                f"`upload_limit` is {self.upload_limit}, and below {least} bytes per second a hub would give up large"
                " packs before they have arrived; 0 is no limit"
            )


def load_settings(root: Path, environment: Mapping[str, str]) -> CommitterSettings:
    """The settings of the workspace at `root`.

    Raises:
        ConfigError: a key is unknown or a value is not of its type; names the source and the nearest valid key.
    """
    path = root / STATE_DIR / CONFIG_FILE
    known = CommitterSettings.__struct_fields__
    variables = {
        name.removeprefix(PREFIX).lower(): text for name, text in environment.items() if name.startswith(PREFIX)
    }
    values = _checked(_read_section(path), known, "committer setting", str(path))
    values |= _checked(variables, known, "committer setting", f"the environment ({PREFIX}*)")
    try:
        return msgspec.convert(values, CommitterSettings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"a committer setting in {path} or {PREFIX}* is wrong: {error}") from error


def _read_section(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); correct or remove it") from error
    section = _checked(content, (SECTION,), "section", str(path)).get(SECTION, {})
    if not isinstance(section, dict):
        raise ConfigError(f"[{SECTION}] in {path} must be a table")
    return section


def _checked(values: dict[str, Any], known: tuple[str, ...], what: str, source: str) -> dict[str, Any]:
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
            raise ConfigError(f"unknown {what} {name!r} in {source}; {hint}")
    return values
