"""The server extension: its options, what it registers with Jupyter Server, and how it stops."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool

from dotscience.errors import ConfigError
from dotscience.workspace import ROOT_VARIABLE, find_root
from jupyter_extension.emitter import Emitter
from jupyter_extension.routes import HANDLERS
from jupyter_extension.workspaces import Workspaces


class DotscienceApp(ExtensionApp):
    """Dotscience in Jupyter Server; the composition root of this package, and the only reader of the environment."""

    name = "dotscience"
    extension_url = "/lab"
    load_other_extensions = True
    autostart_committer = Bool(
        True,
        help="Start `ds committer` for a tracked folder when none runs. A folder that is not tracked is left alone.",
    ).tag(config=True)

    def initialize_settings(self) -> None:
        """Make the workspaces, and register the events and the post-save hook."""
        server = self.serverapp
        if server is None or server.event_logger is None:
            raise ConfigError("DotscienceApp was initialised before the Jupyter server that it belongs to")
        emitter = Emitter(server.event_logger)
        emitter.register()
        root = Path(getattr(server.contents_manager, "root_dir", None) or server.root_dir)
        self.workspaces = Workspaces(root, autostart=self.autostart_committer, emitter=emitter, log=self.log)
        self.settings.update(dotscience_workspaces=self.workspaces, dotscience_on_tracked=self.tell_kernels)
        register_hook = getattr(server.contents_manager, "register_post_save_hook", None)
        if register_hook is not None:  # contents that are not files have no hook; the committer's watcher needs none
            register_hook(self.on_saved)
        self._loop = server.io_loop
        self._loop.add_callback(self.tell_kernels)

    def initialize_handlers(self) -> None:
        """Add our routes; Jupyter puts the base URL in front."""
        self.handlers.extend(HANDLERS)

    def tell_kernels(self) -> None:
        """Follow the workspace of the server's root folder, and name it to the kernels that start from now on.

        The variable makes the original library right too. One that is set already was set by somebody who knows better.
        """
        root = find_root(self.workspaces.server_root)
        if root is not None:
            os.environ.setdefault(ROOT_VARIABLE, str(root))
            self.workspaces.follow(root)

    def on_saved(self, os_path: str, **_: Any) -> None:
        """The post-save hook: may run on any thread; an exception here would fail the user's save."""
        try:
            self._loop.add_callback(self.workspaces.nudge, os_path)
        except Exception:  # see above; the committer's watcher sees the file anyway
            self.log.warning("Dotscience: a save was not passed on", exc_info=True)

    async def stop_extension(self) -> None:
        """Stop following; committers that this server started finish the commit in hand and exit."""
        await self.workspaces.close()
