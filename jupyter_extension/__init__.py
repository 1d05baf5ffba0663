"""Dotscience in Jupyter: a thin, authenticated server extension in front of a workspace's committer.

The panel in the browser talks to this extension (`routes`), the extension to the committer over its unix socket
(`client`), and what the committer's feed says becomes Jupyter events (`follower`, `emitter`). Nothing here reads
notebooks or takes snapshots, and a hub is asked for login links only (`hub_link`).

Importing this package needs neither Jupyter nor Tornado, since `jupyter server extension list` does so everywhere.
"""

from __future__ import annotations

from typing import Any

LABEXTENSION = "@dotscience/jupyterlab-extension"


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Where JupyterLab finds the prebuilt front end."""
    return [{"src": "labextension", "dest": LABEXTENSION}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """What Jupyter Server loads."""
    from jupyter_extension.app import DotscienceApp

    return [{"module": "jupyter_extension", "app": DotscienceApp}]


def __getattr__(name: str) -> str:
    """`__version__`, for the lists of extensions; read late, since it brings the tracking library along."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dotscience.version import __version__

    return __version__
