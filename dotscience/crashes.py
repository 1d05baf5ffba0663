"""Noticing what ends a script, a thread, a notebook's cell or the process, and the tasks that run cells.

All hooks are chained and put in place when the first run begins. For an exception each publishes the run that is being
recorded, with it; what was hooked before still gets to see it. What is left when the process ends is for `unpublished`.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from dotscience import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from weakref import WeakSet

    from dotscience.tracking import Dotscience


class _Watch:
    """The hooks of this process; `cell_task` is the asyncio task in which the kernel executes the current cell."""

    def __init__(self) -> None:
        self.trackers: WeakSet[Dotscience] | None = None
        self.cell_task = _current_task()
        shell = surroundings.interactive_shell()
        if shell is not None:
            shell.events.register("pre_run_cell", self._before_cell)
            shell.events.register("post_run_cell", self._after_cell)

    def add(self, tracker: Dotscience) -> None:
        if self.trackers is None:
            from weakref import WeakSet

            self.trackers = WeakSet()
            self._hook_script(sys.excepthook)
            self._hook_threads(threading.excepthook)
            self._hook_end()
        self.trackers.add(tracker)

    def _hook_script(self, before: Callable[..., Any]) -> None:
        def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
            self.publish(error)
            before(kind, error, traceback)
            if kind is KeyboardInterrupt:
                _end_as_interrupted()

        sys.excepthook = hook

    def _hook_threads(self, before: Callable[[Any], Any]) -> None:
        def hook(arguments: Any) -> None:
            if arguments.exc_value is not None:
                self.publish(arguments.exc_value)
            before(arguments)

        threading.excepthook = hook

    def _hook_end(self) -> None:
        """SIGTERM only where nobody has a handler for it, and only from the main thread (signal.signal)."""
        import atexit
        import signal

        atexit.register(self.leave)
        is_main = threading.current_thread() is threading.main_thread()
        if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return

        def terminated(number: int, _frame: Any) -> None:
            self.leave("SIGTERM")
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

        signal.signal(signal.SIGTERM, terminated)

    def leave(self, ended_by: str | None = None) -> None:
        """The process ends: have what was not published recorded or mentioned. Never raises."""
        for tracker in list(self.trackers or ()):
            try:
                from dotscience import unpublished

                unpublished.leave(tracker, ended_by)
            except Exception:  # nothing may keep the process from ending as it does
                import logging

                logging.getLogger(__name__).exception("what was not published could not be recorded")

    def _before_cell(self, _info: Any) -> None:
        self.cell_task = _current_task()

    def _after_cell(self, result: Any) -> None:
        """A cell that fails while nothing but `start()` was called is a typo more often than a run that failed."""
        if result.error_in_exec is not None:
            self.publish(result.error_in_exec, touched_only=True)

    def publish(self, error: BaseException, *, touched_only: bool = False) -> None:
        """Publish what is being recorded, with `error`. Never raises: another exception is on its way already."""
        if is_success(error):
            return
        for tracker in list(self.trackers or ()):
            run = tracker.unfinished()
            if run is None or run.publish_error is error or (touched_only and not run.touched):
                continue
            try:
                tracker.publish_failed(run, error)
            except Exception:  # the user must get to see their own exception
                import logging

                logging.getLogger(__name__).exception("a failed run could not be published")


def _end_as_interrupted() -> None:
    """Have Python end by SIGINT, so that a shell's loop ends, too (bpo-1054041).

    It remembers that an interrupt was not handled, and forgets it with the next code that is run from a string, such as
    the namedtuples of a module that is imported to publish.
    """
    try:
        exec("raise KeyboardInterrupt")  # noqa: S102 - a constant
    except KeyboardInterrupt:
        return


def _current_task() -> Any:
    """The asyncio task that runs in this thread, if any; asyncio is not imported for it."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:  # noqa: SLF001 - does not raise where there is no loop
        return None
    return asyncio.current_task()


_watch = _Watch()


def watch(tracker: Dotscience) -> None:
    """Publish `tracker`'s unfinished runs when an exception ends what they record."""
    _watch.add(tracker)


def in_users_task() -> bool:
    """Whether the caller runs in an asyncio task of user code, rather than in the one of a notebook's cell."""
    task = _current_task()
    return task is not None and task is not _watch.cell_task


def in_task() -> bool:
    """Whether the caller runs in an asyncio task at all; code in a notebook's cell always does."""
    return _current_task() is not None


def is_success(error: BaseException) -> bool:
    """Whether an exception says that all is well: `sys.exit()`, or a generator that is closed."""
    if isinstance(error, SystemExit):
        return error.code in (None, 0)
    return isinstance(error, GeneratorExit)
