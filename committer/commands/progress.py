"""A progress bar on standard error while long work goes on; nothing where nobody watches."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress


@contextmanager
def bytes_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told of each number of bytes done, of `total`."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with _bar() as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def sending_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Gives a function that is told how many bytes of how many are done; both may change, and 0 bytes show no bar."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    with _bar() as progress:
        task = progress.add_task(title, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=total > 0)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
