"""`ds up` and JupyterLab in a browser: starting them, and doing what a person does there."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote, urlsplit

from support.stack import DS, TIMEOUT_S, Hub, Tracked

from dotscience.cli.processes import Component, free_port, start, wait_until
from dotscience.workspace import read_project


class Up:
    """A running `ds up` with the links that it printed."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.root = root
        command = [*DS, "up", str(root), "--example", "--yes", "--no-browser", "--hub-port", "0", "--jupyter-port", "0"]
        command += arguments
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.printed = ""
        watchdog = threading.Timer(120, self.process.kill)
        watchdog.start()
        for line in self.process.stdout:
            self.printed += line
            if "Ctrl-C" in line:
                break
        watchdog.cancel()
        assert "Ctrl-C" in self.printed, self.printed
        self.jupyter = re.search(r"JupyterLab\s+(http\S+)", self.printed)[1]
        self.dashboard = re.search(r"Dashboard\s+(http\S+)", self.printed)[1]

    @property
    def hub(self) -> Hub:
        return Hub.of(Path(os.environ["DS_HUB_DATA"]))

    @property
    def tracked(self) -> Tracked:
        tracked = Tracked(self.root)
        tracked.project = read_project(self.root).hub.project_id
        return tracked

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.printed += self.process.communicate(timeout=60)[0]
        return self.process.returncode


class PlainLab:
    """`jupyter lab` in a folder, as somebody starts it who has only installed the extension."""

    def __init__(self, root: Path) -> None:
        port, token = free_port(0), secrets.token_urlsafe(24)
        arguments = ["--no-browser", "--ip=localhost", f"--port={port}", f"--ServerApp.root_dir={root}", "--allow-root"]
        environment = {"JUPYTER_TOKEN": token, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        command = [sys.executable, "-m", "jupyterlab", *arguments]
        self.component: Component = start(
            "JupyterLab", command, log=root.parent / "jupyter.log", environment=environment
        )
        runtime = Path(os.environ["JUPYTER_RUNTIME_DIR"])
        wait_until(self.component, lambda: next(runtime.glob("jpserver-*.json"), None), timeout_s=TIMEOUT_S)
        self.jupyter = f"http://localhost:{port}/lab?token={token}"


class Lab:
    """JupyterLab in one page of a browser."""

    def __init__(self, page, url: str) -> None:
        self.page = page
        parts = urlsplit(url)
        self._base, self._query = f"{parts.scheme}://{parts.netloc}", parts.query

    def open(self, notebook: str) -> None:
        """Load JupyterLab with this notebook only: a JupyterLab workspace of its own restores nothing."""
        name = quote(notebook)
        self.page.goto(f"{self._base}/lab/workspaces/{name.replace('.', '-')}/tree/{name}?{self._query}")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        # The notebook's own indicator says "idle" before there is a kernel, too; the status bar does not.
        self.page.locator("#jp-main-statusbar").get_by_text("Python 3 (ipykernel) | Idle").wait_for()

    def run_all(self) -> None:
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.locator("#jp-mainmenu-run").get_by_text("Run All Cells", exact=True).click()

    @property
    def panel(self):
        return self.page.get_by_role("region", name="Dotscience")

    @property
    def cards(self):
        return self.page.locator(".jp-Notebook .ds-Card")

    @property
    def dialogs(self):
        return self.page.locator(".jp-Dialog")

    def save_and_push(self, description: str) -> None:
        """Take a commit by the panel, and wait until it is durable."""
        self.panel.get_by_label("Describe your commit").fill(description)
        self.panel.get_by_role("button", name="Save and push data").click()
        self.panel.get_by_text(re.compile("^Committed ")).wait_for()
