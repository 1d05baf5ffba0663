"""What a test does where a component that it needs is missing."""

from __future__ import annotations

import os
import shutil

import pytest


def lacks(message: str) -> None:
    """Skip the test, saying what it needs; with CI=true nothing is skipped and the test fails."""
    pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


def require_root_and(**packages: str) -> None:
    """Go on if this is root and the commands are there; `packages` maps commands, `_` for `.`, to Debian packages."""
    paths = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [
        package for command, package in packages.items() if not shutil.which(command.replace("_", "."), path=paths)
    ]
    if os.geteuid() or missing:
        lacks(f"needs root and the packages {' '.join(packages.values())}")
