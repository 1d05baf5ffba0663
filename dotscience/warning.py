"""How the library warns: at the line of the user's code that called it."""

from __future__ import annotations

import sys
import warnings


class DotscienceWarning(UserWarning):
    """Something about a run is probably not what the user meant; the run is recorded all the same."""


def warn(message: str) -> None:
    """Warn at the innermost line of code outside of this library."""
    from dotscience.invocation import spelled  # importing the library is to stay cheap

    level = 2
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to look at the caller, and quick
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "dotscience":
        frame = frame.f_back
        level += 1
    warnings.warn(spelled(message), DotscienceWarning, stacklevel=level)
