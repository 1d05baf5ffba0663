"""Finding the hub that runs on a data folder, for commands on its machine."""

from __future__ import annotations

from pathlib import Path

from dotscience.client.local_hub import hub_on
from dotscience.errors import ConfigError


def running_hub(data: Path) -> tuple[str, str]:
    """The address of the hub that runs on `data`, and its administrator's token.

    Raises:
        ConfigError: none does, or it is another user's.
    """
    found = hub_on(data)
    if found is None:
        raise ConfigError(f"no hub of yours runs on {data}; start one with `ds hub`, or name its folder with --data")
    return found.url, found.admin_token
