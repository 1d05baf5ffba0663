"""What the library takes from the process that it runs in: environment variables, the kernel, the notebook.

The only module of the library that reads `os.environ`. Nothing here imports IPython: where it is not loaded, there is
no kernel. The record's types are imported when a run is published, so that `import dotscience` stays quick.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from dotscience.paths import absolute, rooted

if TYPE_CHECKING:
    from dotscience.record import Place

ROOT_VARIABLE = "DOTSCIENCE_PROJECT_DOT_ROOT"
"""The same as `workspace.ROOT_VARIABLE`, whose module is imported when a run is published."""

WORKLOAD_VARIABLE = "DOTSCIENCE_WORKLOAD_TYPE"
NOTEBOOK_VARIABLE = "JPY_SESSION_NAME"
HUB_VARIABLE = "DOTSCIENCE_URL"
UNPUBLISHED_VARIABLE = "DOTSCIENCE_UNPUBLISHED"

_RECORDED_VARIABLES = (
    "CONDA_DEFAULT_ENV",
    "CUDA_VISIBLE_DEVICES",
    "MKL_NUM_THREADS",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "SLURM_JOB_ID",
    "TF_DETERMINISTIC_OPS",
    "WORLD_SIZE",
)
_LAUNCH_FOLDER = os.getcwd()  # noqa: PTH109 - where the process was when the library was imported, as in the original


_held: dict[str, int | None] = {}
"""Descriptors of the folders by which the root is found, by their paths when the first run began."""


def workspace_root() -> str:
    """The root of the workspace: the variable, else the nearest tracked folder, else where the process was started.

    A folder that was renamed since a run began is where it is now.
    """
    start = _place_of(_start_folder())
    if root_is_given():
        return start
    from pathlib import Path

    from dotscience.workspace import find_root

    found = find_root(Path(start))
    return start if found is None else str(found)


def hold_root() -> None:
    """Know the workspace by more than its path from here on. Cheap when repeated."""
    start = _start_folder()
    if start not in _held:
        from dotscience.held_folder import hold

        _held[start] = hold(start)


def former_root(root: str) -> str:
    """What the path of `root`, the present root, was when the first run began."""
    before = _start_folder()
    now = _place_of(before)
    below = now.removeprefix(root)
    return before.removesuffix(below) if now != before and before.endswith(below) else root


def _start_folder() -> str:
    """The folder by which the root is found, as it was called when the process was started."""
    root = os.environ.get(ROOT_VARIABLE)
    return os.path.abspath(root) if root else _LAUNCH_FOLDER  # noqa: PTH100 - see paths.absolute


def _place_of(folder: str) -> str:
    descriptor = _held.get(folder)
    if descriptor is None:
        return folder
    from dotscience.held_folder import place_of

    return place_of(descriptor, folder) or folder


def is_tracked(root: str) -> bool:
    """Whether sidecars may be left in `root`."""
    from pathlib import Path

    from dotscience.workspace import is_root

    return is_root(Path(root))


def root_is_given() -> bool:
    """Whether whoever started the process said which folder the workspace is."""
    return bool(os.environ.get(ROOT_VARIABLE))


def workload_type() -> str | None:
    """What kind of workload whoever started the process says it is: "jupyter", "command", or nothing."""
    return os.environ.get(WORKLOAD_VARIABLE)


def hub_url() -> str:
    """The hub that remote mode talks to where `ds.connect` is not told; empty if the environment does not say."""
    return os.environ.get(HUB_VARIABLE, "")


def records_unpublished() -> bool:
    """Whether a run that was never published is recorded when its process ends."""
    return os.environ.get(UNPUBLISHED_VARIABLE, "").lower() not in ("off", "0", "false", "no")


def recorded_variables() -> dict[str, str]:
    """The environment variables that are recorded: those that change results, and names of environments."""
    found = {name: os.environ[name] for name in _RECORDED_VARIABLES if name in os.environ}
    if environment := os.environ.get("VIRTUAL_ENV"):
        found["VIRTUAL_ENV"] = os.path.basename(environment)  # noqa: PTH119 - a name is all that is wanted
    return found


def interactive_shell() -> Any:
    """IPython's shell where code runs in one, else None."""
    ipython = sys.modules.get("IPython")
    get_ipython = getattr(ipython, "get_ipython", None)
    return get_ipython() if get_ipython else None


def kernel_shell() -> Any:
    """IPython's shell where it belongs to a kernel, else None."""
    shell = interactive_shell()
    return shell if getattr(shell, "kernel", None) is not None else None


def place(root: str) -> Place:
    """Where this process is; the notebook and its cell where code runs in a kernel."""
    import platform

    from dotscience.record import Place

    host, pid = platform.node() or None, os.getpid()
    shell = kernel_shell()
    if shell is None:
        return Place(host=host, pid=pid)
    return Place(
        notebook=_notebook(shell, root),
        cell_id=_cell_id(shell),
        kernel_id=_kernel_id(shell),
        host=host,
        pid=pid,
    )


def _notebook(shell: Any, root: str) -> str | None:
    """The notebook relative to `root`: as VS Code, the Jupyter server or the program that executes it names it.

    The server says so when the kernel starts and not when the notebook is renamed, so a name without a file is nothing.
    """
    from dotscience.launcher import launched_notebook

    named = _user_variable(shell, "__vsc_ipynb_file__") or os.environ.get(NOTEBOOK_VARIABLE) or launched_notebook()
    if not named or not named.endswith(".ipynb"):
        return None
    for path in (named, os.path.basename(named)):  # noqa: PTH119 - see paths
        if os.path.isfile(path):  # noqa: PTH113
            saved = rooted(os.path.realpath(path), os.path.realpath(root))  # a link's file is what is saved
            seen = rooted(absolute(path), root) if saved.outside else saved
            return None if seen.outside else seen.path
    return None


def _user_variable(shell: Any, name: str) -> str | None:
    namespace = getattr(shell, "user_ns", None)
    value = namespace.get(name) if isinstance(namespace, dict) else None
    return value if isinstance(value, str) else None


def _cell_id(shell: Any) -> str | None:
    """The cell that is being executed, which JupyterLab and VS Code put into the request's metadata."""
    get_parent = getattr(shell.kernel, "get_parent", None)
    parent = get_parent() if get_parent else None
    metadata = parent.get("metadata") if isinstance(parent, dict) else None
    cell_id = metadata.get("cellId") if isinstance(metadata, dict) else None
    return cell_id if isinstance(cell_id, str) else None


def _kernel_id(shell: Any) -> str | None:
    """The kernel's id: Jupyter names the connection file after it, `kernel-<id>.json`."""
    application = getattr(shell, "config", {}).get("IPKernelApp", {})
    name = os.path.basename(str(application.get("connection_file", "")))  # noqa: PTH119
    return name.removeprefix("kernel-").removesuffix(".json") if name.startswith("kernel-") else None
