"""Files that a run names: absolute from when they are named, relative to the workspace when the run is published."""

from __future__ import annotations

import os
from typing import Any, NamedTuple


class RootedPath(NamedTuple):
    """A path relative to a root, `/`-separated; absolute where `outside` is true."""

    path: str
    outside: bool


def absolute(filename: Any) -> str:
    """The absolute, normalised path of a file that a run names, without resolving symbolic links."""
    return os.path.abspath(str(filename))  # noqa: PTH100 - Path.absolute() keeps `..`


def files_below(path: str) -> list[str]:
    """`path` itself, or for a folder the files below it; an empty folder has none."""
    if not os.path.isdir(path):  # noqa: PTH112 - strings throughout: this runs for every file that a run names
        return [path]
    return [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]  # noqa: PTH118


def relocated(path: str, former: str, now: str) -> str:
    """What an absolute path is called after its folder `former` was renamed to `now`; others stay."""
    return now + path[len(former) :] if path == former or path.startswith(former + os.sep) else path


def rooted(path: str, root: str) -> RootedPath:
    """An absolute path as seen from `root`, which may itself be named through a symbolic link."""
    for start, target in ((root, path), (os.path.realpath(root), os.path.realpath(path))):
        relative = os.path.relpath(target, start)
        if relative != os.pardir and not relative.startswith(os.pardir + os.sep):
            return RootedPath(relative.replace(os.sep, "/"), outside=False)
    return RootedPath(path.replace(os.sep, "/"), outside=True)
