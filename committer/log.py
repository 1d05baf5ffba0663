"""Loggers that import structlog when there is something to log.

structlog brings its renderers, and with them rich: a fifth of a second, which commands that log nothing need not pay.
What is below the level is dropped without it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
}


class _Threshold:
    """From which level on is logged, as `committer.logs` set it; all, where nobody did, as in tests."""

    level = logging.NOTSET
    is_configured = True


def set_level(level: int) -> None:
    """Drop what is less grave than `level`, in the whole process."""
    _Threshold.level, _Threshold.is_configured = level, True


def configure_when_needed(level: int) -> None:
    """As `committer.logs.configure_logging`, at the first line that is logged: most commands log none."""
    _Threshold.level, _Threshold.is_configured = level, False


class LazyLogger:
    """As structlog's loggers: `log.info("event.name", key=value)`. Safe from any thread."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if _LEVELS[method] < _Threshold.level:
            return _drop
        if not _Threshold.is_configured:
            from committer.logs import configure_logging

            configure_logging(_Threshold.level)
        import structlog

        return getattr(structlog.get_logger(self._name), method)  # type: ignore[no-any-return]


def _drop(_event: str, **_fields: Any) -> None:
    return


def get_logger(name: str) -> LazyLogger:
    """The logger of a module."""
    return LazyLogger(name)
