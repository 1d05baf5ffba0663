"""Tokens of this user, kept in the user's config folder and keyed by hub URL and project; never in a workspace.

One file, `credentials.json`, mode 0600 in a folder of mode 0700, replaced whole under a lock so that two processes can
write at the same time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from dotscience.errors import ConfigError
from dotscience.workspace import write_durably

FILE_NAME = "credentials.json"
ACCOUNT = "account"
"""In place of a project's id: the token of the user's account, which `ds login` made."""
Tokens = dict[str, dict[str, str]]
"""Hub URL -> project id -> token."""


def config_folder() -> Path:
    """The user's config folder, `$DOTSCIENCE_CONFIG_DIR` where that is set; made, with mode 0700, when missing."""
    import platformdirs

    folder = Path(os.environ.get("DOTSCIENCE_CONFIG_DIR") or platformdirs.user_config_dir("dotscience"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def load(hub_url: str, project_id: str) -> str | None:
    """The token for a project on a hub, or None where none was saved.

    Raises:
        ConfigError: the file is damaged, or others may read it.
    """
    return _read(config_folder() / FILE_NAME).get(_key(hub_url), {}).get(project_id)


def for_reading(hub_url: str, project_id: str) -> str | None:
    """The token for a project, else that of the user's account on its hub; None where neither was saved.

    Raises:
        ConfigError: as `load` does.
    """
    return load(hub_url, project_id) or load(hub_url, ACCOUNT)


def save(hub_url: str, project_id: str, token: str) -> None:
    """Remember the token for a project on a hub, in place of any earlier one."""
    path = config_folder() / FILE_NAME
    with _locked(path):
        tokens = _read(path)
        tokens.setdefault(_key(hub_url), {})[project_id] = token
        write_durably(path, msgspec.json.format(msgspec.json.encode(tokens)), mode=0o600)


def forget(hub_url: str, project_id: str) -> None:
    """Forget a token; nothing to do where there is none."""
    path = config_folder() / FILE_NAME
    with _locked(path):
        tokens = _read(path)
        if tokens.get(_key(hub_url), {}).pop(project_id, None) is not None:
            write_durably(path, msgspec.json.format(msgspec.json.encode(tokens)), mode=0o600)


def hubs() -> list[str]:
    """The hubs that the user has logged in to."""
    return [url for url, tokens in _read(config_folder() / FILE_NAME).items() if ACCOUNT in tokens]


def _key(hub_url: str) -> str:
    return hub_url.rstrip("/").lower()


def _read(path: Path) -> Tokens:
    try:
        status, data = path.stat(), path.read_bytes()
    except FileNotFoundError:
        return {}
    if status.st_mode & 0o077:
        raise ConfigError(f"{path} can be read by other users; run `chmod 600 {path}` and renew the tokens in it")
    try:
        return msgspec.json.decode(data, type=Tokens)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} is damaged ({error}); remove it and sign in again") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
