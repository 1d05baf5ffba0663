"""An inotify emitter for watchdog that leaves out ignored folders and says when it may have missed something.

watchdog's own emitter only logs a queue overflow, and is silent about a folder that it cannot watch because the user's
limit of watches is reached. Both matter here: an overflow makes a scan necessary, the limit makes us poll instead.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter, InotifyWatchGroup
from watchdog.observers.inotify_c import CallbackId, InotifyFD, Mask, WatchCallback, WatchDescriptor

EXHAUSTED = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What inotify_add_watch(2) and inotify_init(2) answer when a limit of the user or the system is reached."""

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""What inotify_add_watch(2) answers for a folder that is none any more; the folder above tells of that."""

_NO_WATCH = -1
"""What watchdog makes of EACCES, for all such folders alike, instead of an error."""


class Reports:
    """What an emitter tells besides events; called on watchdog's threads.

    Args:
        skip: Whether a folder (absolute path) and everything below is not to be watched.
        overflowed: Events were lost.
        exhausted: A folder could not be watched for want of watches.
        unwatchable: A folder (absolute path) that is there could not be watched, for want of permission mostly.
    """

    def __init__(
        self,
        *,
        skip: Callable[[str], bool],
        overflowed: Callable[[], None],
        exhausted: Callable[[], None],
        unwatchable: Callable[[str], None],
    ) -> None:
        self.skip = skip
        self.overflowed = overflowed
        self.exhausted = exhausted
        self.unwatchable = unwatchable


class _WatchGroup(InotifyWatchGroup):
    """The recursive watch, told what to skip and whom to tell."""

    def __init__(self, reports: Reports, *arguments: Any, **options: Any) -> None:
        self._reports = reports
        super().__init__(*arguments, **options)

    def on_queue_overflow(self) -> None:
        super().on_queue_overflow()
        self._reports.overflowed()

    def _add_all_callbacks(self, path: bytes) -> None:
        """Watch `path` and the folders below it, without descending into those to be skipped."""
        if path != self.path and self._reports.skip(os.fsdecode(path)):
            return
        self._add_callback(path)
        for folder, names, _ in os.walk(path):
            names[:] = [
                name
                for name in names
                if not self._skipped(os.path.join(folder, name))  # noqa: PTH118 - bytes paths
            ]
            for name in names:
                self._add_callback(os.path.join(folder, name))  # noqa: PTH118 - bytes paths

    def _skipped(self, path: bytes) -> bool:
        return os.path.islink(path) or self._reports.skip(os.fsdecode(path))  # noqa: PTH114 - bytes paths

    def _add_callback(self, path: bytes) -> None:
        try:
            watch = self._watched(path)
        except OSError as error:
            if error.errno in EXHAUSTED:
                self._reports.exhausted()
            elif error.errno not in GONE:
                self._reports.unwatchable(os.fsdecode(path))
            if path == self.path:
                raise
            return
        self._remember(watch, path)

    def _move_watches(self, source: bytes, target: bytes) -> bool:
        """Watch what is at `target` now; whether `source` was watched.

        The base renames what it knows below `source`. But a folder that was made there and moved along before its own
        event is read is not known; and one may have been found at a later place already.
        """
        was_watched = source in self._active_callbacks_by_path
        if was_watched:
            self._add_all_callbacks(target)
        return was_watched

    def _remember(self, watch: WatchDescriptor, path: bytes) -> None:
        """Note where a folder is; the kernel gives a folder the same watch, whatever path it is found by."""
        self._forget_path(watch)
        self._active_callbacks_by_path[path] = watch
        self._active_callbacks_by_watch[watch] = path

    def _remove_watch_internally(self, watch: WatchDescriptor) -> None:
        self._forget_path(watch)
        self._active_callbacks_by_watch.pop(watch, None)

    def _forget_path(self, watch: WatchDescriptor) -> None:
        """Another folder may have taken the path; then the path is that one's."""
        path = self._active_callbacks_by_watch.get(watch)
        if path is not None and self._active_callbacks_by_path.get(path) == watch:
            del self._active_callbacks_by_path[path]

    def _watched(self, path: bytes) -> WatchDescriptor:
        watch = self._inotify_fd.add_callback(path, self.event_mask, self._callback, self._id)
        if watch == _NO_WATCH:
            self._inotify_fd.remove_callbacks([(watch, self._id)])
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fsdecode(path))
        return watch


class _Emitter(InotifyEmitter):
    def __init__(self, *arguments: Any, reports: Reports, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._reports = reports

    def on_thread_start(self) -> None:
        self._inotify = _WatchGroup(
            self._reports,
            self._inotify_fd,
            os.fsencode(self.watch.path),
            is_recursive=self.watch.is_recursive,
            event_mask=self.get_event_mask_from_filter(),
            follow_symlink=False,
        )


class _Inotify(InotifyFD):
    def _add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        """Without the base's warning when a folder gets the callback that it has.

        One is often seen twice, by its own event and by that of a new folder above it.
        """
        watch = self._get_or_create_watch(path, mask)
        watch.callbacks[id_] = callback
        return watch.wd


class ReportingObserver(BaseObserver):
    """watchdog's inotify observer with our emitter.

    Raises:
        OSError: from the constructor, no inotify instance could be had.
    """

    def __init__(self, reports: Reports) -> None:
        self._inotify = _Inotify()
        self._inotify.start()
        super().__init__(_Emitter, inotify_fd=self._inotify, reports=reports)

    def on_thread_stop(self) -> None:
        """Also end the thread that reads from inotify."""
        super().on_thread_stop()
        self._inotify.stop()
        self._inotify.join()
