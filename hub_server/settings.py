"""The hub's settings: defaults < `DS_HUB_*` variables < command line.

Read once, by the composition root; nothing else looks at the environment.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
import platformdirs
from msgspec import Struct

from dotscience.errors import ConfigError

PREFIX = "DS_HUB_"
DEFAULT_PORT = 8800
DEFAULT_HOST = "127.0.0.1"
ZFS_RECEIVE = ("off", "trusted")
HOURS = ("upkeep_every_h", "keep_unused_h")
MAX_HOURS = 24 * 365
MAX_RATE = 1_000_000


class HubSettings(Struct, frozen=True, kw_only=True):
    """Everything that can be set.

    `port` None means 8800 or the next free one, 0 any. `public_url` is where people reach the hub when that is not the
    address that it listens on, such as behind a proxy; an https address makes cookies secure. `database` is one
    on a PostgreSQL server, `postgresql://user:password@host/name`, for what is in a file of the data folder otherwise;
    parts that are left out come from PostgreSQL's own variables, such as PGPASSWORD. `storage` is a bucket
    like `s3://bucket/prefix` for packs, which are in the data folder otherwise. `zfs_root` is the dataset below which
    dots are received as ZFS streams, if `zfs_receive` says that senders with the scope for it are trusted. One caller
    may send `requests_per_minute` in the long run, and a sixth of that at once (0: as many as they like). Every
    `upkeep_every_h` hours (0: only when told to) garbage is collected, and a part of what is stored is checked; objects
    are deleted when no commit has needed them for `keep_unused_h` hours.
    """

    data: Path
    host: str = DEFAULT_HOST
    port: int | None = None
    public_url: str | None = None
    database: str | None = None
    storage: str | None = None
    zfs_root: str | None = None
    zfs_receive: Literal["off", "trusted"] = "off"
    requests_per_minute: int = 6_000
    upkeep_every_h: float = 24.0
    keep_unused_h: float = 24.0


def load_settings(environment: Mapping[str, str], **flags: Any) -> HubSettings:
    """The settings from the environment's `DS_HUB_*` variables and from flags.

    An empty variable is one that is not set, and None a flag that was not given.

    Raises:
        ConfigError: a variable is unknown, or a value is not acceptable; the message names it.
    """
    names = {PREFIX + name.upper(): name for name in HubSettings.__struct_fields__}
    given = {key: value for key, value in environment.items() if key.startswith(PREFIX) and value}
    for key in given:
        if key not in names:
            near = difflib.get_close_matches(key, names, 1)
            raise ConfigError(f"{key} is no setting of the hub" + (f"; did you mean {near[0]}?" if near else ""))
    values: dict[str, Any] = {"data": Path(platformdirs.user_data_dir("dotscience")) / "hub"}
    values |= {names[key]: value for key, value in given.items()}
    values |= {name: value for name, value in flags.items() if value is not None}
    return _check(values)


def _check(values: dict[str, Any]) -> HubSettings:
    values["data"] = Path(values["data"]).expanduser().absolute()
    try:
        port = values.get("port")
        values["port"] = None if port is None else int(port)
        settings = HubSettings(**values | _hours(values) | _rate(values))
    except ValueError as error:
        raise ConfigError(f"the port {values['port']!r} is no number; use 0 to 65535") from error
    if settings.port is not None and not 0 <= settings.port <= 65535:
        raise ConfigError(f"the port {settings.port} is not between 0 and 65535")
    if settings.storage is not None:
        _check_storage(settings.storage)
    if settings.zfs_receive not in ZFS_RECEIVE:
        raise ConfigError(f"zfs_receive {settings.zfs_receive!r} (DS_HUB_ZFS_RECEIVE) must be one of {ZFS_RECEIVE}")
    if settings.zfs_receive == "trusted" and not settings.zfs_root:
        raise ConfigError("to receive ZFS streams, say below which dataset: --zfs-root POOL/DATASET (DS_HUB_ZFS_ROOT)")
    return msgspec.structs.replace(settings, public_url=_check_url(settings.public_url))


def _hours(values: dict[str, Any]) -> dict[str, float]:
    """The settings that are a number of hours."""
    return {name: _number_of_hours(name, values[name]) for name in HOURS if name in values}


def _rate(values: dict[str, Any]) -> dict[str, int]:
    """How many requests a minute, where that is set."""
    if "requests_per_minute" not in values:
        return {}
    given = str(values["requests_per_minute"])
    if not given.isascii() or not given.isdecimal() or int(given[:9]) > MAX_RATE:
        raise ConfigError(f"{PREFIX}REQUESTS_PER_MINUTE {given!r} is no number of requests from 0 to {MAX_RATE}")
    return {"requests_per_minute": int(given)}


def _number_of_hours(name: str, value: Any) -> float:
    try:
        hours = float(value)
    except ValueError:
        hours = -1.0
    if not 0 <= hours <= MAX_HOURS:
        raise ConfigError(f"{PREFIX}{name.upper()} {value!r} is no number of hours from 0 to {MAX_HOURS}")
    return hours


def _check_storage(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError(f"the storage {url!r} (DS_HUB_STORAGE) must be like s3://bucket or s3://bucket/prefix")


def _check_url(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ConfigError(f"the public URL {url!r} must be like https://hub.example.org, without a path")
    return f"{parts.scheme}://{parts.netloc}"
