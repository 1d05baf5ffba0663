"""`ds up`: a hub, a committer and JupyterLab for one folder, as child processes of this command.

One hub serves all of a user's folders: the process that holds the lock of the hub's data folder runs it, and a second
`ds up` uses that one, taking over when it goes away. Ctrl-C stops only what this command started.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from msgspec import Struct

from dotscience.cli import example, processes
from dotscience.client.address import is_on_this_machine
from dotscience.client.binding import bind
from dotscience.client.committer import CommitterClient
from dotscience.client.hub import HubClient
from dotscience.client.local_hub import DATA_VARIABLE, RunningHub, default_data_folder, find_hub
from dotscience.errors import CommitterUnavailable, ConfigError
from dotscience.invocation import scripts_folder, spelled
from dotscience.workspace import Workspace, find_root, is_root, read_project

START_TIMEOUT_S = 90.0
WATCH_INTERVAL_S = 1.0
ECHO_S = 1.0
DS = (sys.executable, "-m", "dotscience.cli")


class Options(Struct, frozen=True, kw_only=True):
    """The command line of `ds up`, with the folders resolved."""

    root: Path
    data: Path
    hub_port: int
    jupyter_port: int
    project: str | None
    browser: bool
    local_hub: bool


@click.command(
    "up",
    epilog="""\b
Examples:
  ds up                      track this folder
  ds up ~/churn --example    make or use a folder, with an example notebook in it
  ds up --hub-port 0 --jupyter-port 0 --no-browser
""",
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--project", metavar="NAME", help="Name of the project to make; the folder's name by default.")
@click.option("--hub-port", type=click.IntRange(0, 65535), default=8800, show_default=True, help="0 for any free port.")
@click.option(
    "--jupyter-port", type=click.IntRange(0, 65535), default=8888, show_default=True, help="0 for any free port."
)
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The hub's data folder.")
@click.option("--local-hub", is_flag=True, help="Bind a folder of another machine's hub to the hub on this one.")
@click.option("--example/--no-example", default=None, help="Put an example notebook into the folder, or do not ask.")
@click.option("--browser/--no-browser", default=None, help="Open JupyterLab in a browser; by default on a terminal.")
@click.option("--force", is_flag=True, help="Track the home folder or a system folder all the same.")
@click.option("--yes", is_flag=True, help="Do not ask before tracking a large folder.")
def up(
    folder: Path,
    project: str | None,
    hub_port: int,
    jupyter_port: int,
    data: Path | None,
    example: bool | None,
    browser: bool | None,
    force: bool,
    yes: bool,
    local_hub: bool,
) -> None:
    """Start a hub, a committer and JupyterLab for FOLDER (default: this one), and open it.

    A folder that is bound to a hub on another machine stays so: then only the other two are started.
    """
    _require_components()
    root = _tracked_root(folder, force=force, yes=yes)
    _offer_example(root, example)
    interactive = sys.stdout.isatty()
    options = Options(
        root=root,
        data=(data or default_data_folder()).absolute(),
        hub_port=hub_port,
        jupyter_port=jupyter_port,
        project=project,
        browser=interactive if browser is None else browser,
        local_hub=local_hub,
    )
    Session(options).run()


class Session:
    """What one `ds up` started; used by one thread."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._logs = options.data / "log"
        self._hub: processes.Component | None = None
        self._committer: processes.Component | None = None
        self._jupyter: processes.Component | None = None

    def run(self) -> None:
        """Start everything, say where it is, and keep it going until SIGINT or SIGTERM comes or JupyterLab ends."""
        with _interruptible(self._stop, self._kill):
            hub = None if self._bound_elsewhere() else self._ensure_hub()
            workspace = self._bind(hub) if hub else read_project(self._options.root)
            self._ensure_committer(workspace)
            self._show(hub, workspace, self._start_jupyter(workspace))
            while True:
                time.sleep(WATCH_INTERVAL_S)
                self._keep_going(workspace, with_hub=hub is not None)

    def _keep_going(self, workspace: Workspace, *, with_hub: bool) -> None:
        if self._jupyter is not None and not self._jupyter.alive:
            raise ConfigError(
                f"JupyterLab ended with status {self._jupyter.process.returncode}; see {self._jupyter.log}"
            )
        for component in (self._hub, self._committer, self._jupyter):
            if component is not None:
                processes.rotate(component.log)
        if with_hub and (self._hub is None or not self._hub.alive):
            self._bind(self._ensure_hub())
        if self._committer is None or not self._committer.alive:
            self._ensure_committer(workspace)

    def _ensure_hub(self) -> RunningHub:
        running = find_hub(self._options.data)
        if running is not None:
            return running
        click.echo("Starting the hub …")
        port = processes.free_port(self._options.hub_port)
        command = [*DS, "hub", "--data", str(self._options.data), "--port", str(port)]
        self._hub = processes.start("the hub", command, log=self._logs / "hub.log")
        return processes.wait_until(self._hub, lambda: find_hub(self._options.data), timeout_s=START_TIMEOUT_S)

    def _bound_elsewhere(self) -> bool:
        """Whether the folder belongs to a hub on another machine, and is to stay there."""
        hub = read_project(self._options.root).hub
        return hub is not None and not self._options.local_hub and not is_on_this_machine(hub.url)

    def _bind(self, hub: RunningHub) -> Workspace:
        before = read_project(self._options.root)
        with HubClient(hub.url, hub.admin_token) as client:
            workspace = bind(before, client, name=self._options.project)
        if before.hub and workspace.hub and before.hub.project_id != workspace.hub.project_id:
            click.echo(
                f"{before.root} was bound to {before.hub.project_name} on {before.hub.url}; "
                f"its history is now pushed to {workspace.hub.project_name} on {workspace.hub.url}"
            )
        return workspace

    def _ensure_committer(self, workspace: Workspace) -> None:
        if _committer_answers(workspace.root):
            return
        click.echo("Starting the committer …")
        command = [*DS, "committer", "--root", str(workspace.root)]
        self._committer = processes.start("the committer", command, log=self._logs / "committer.log")
        processes.wait_until(
            self._committer, lambda: _committer_answers(workspace.root) or None, timeout_s=START_TIMEOUT_S
        )

    def _start_jupyter(self, workspace: Workspace) -> str:
        click.echo("Starting JupyterLab …")
        port = processes.free_port(self._options.jupyter_port)
        token = secrets.token_urlsafe(24)
        # It listens on an address: no name need resolve. People get `localhost`, so the hub never sees its cookies.
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
            *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={workspace.root}"),
            *(["--allow-root"] if os.geteuid() == 0 else []),
        ]
        # By the environment, not the command line, which every user of the machine can read.
        environment = {
            "PATH": _path_with_scripts(),  # for `ds` in JupyterLab's terminals and in cells
            "JUPYTER_TOKEN": token,
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            DATA_VARIABLE: str(self._options.data),  # where the panel finds the hub that its links sign in to
        }
        self._jupyter = processes.start("JupyterLab", command, log=self._logs / "jupyter.log", environment=environment)
        processes.wait_until(self._jupyter, lambda: _answers(f"http://127.0.0.1:{port}/api"), timeout_s=START_TIMEOUT_S)
        notebook = workspace.root / example.FILE_NAME
        page = f"lab/tree/{example.FILE_NAME}" if notebook.is_file() else "lab"
        return f"http://localhost:{port}/{page}?token={token}"

    def _show(self, hub: RunningHub | None, workspace: Workspace, jupyter_url: str) -> None:
        bound = workspace.hub
        dashboard, hint = self._login_link(hub) if hub else (f"{bound.url}/p/{bound.project_id}" if bound else "", "")
        click.echo()
        click.echo(f"  Tracking    {workspace.root}  (project {bound.project_name if bound else workspace.root.name})")
        click.echo(f"  JupyterLab  {jupyter_url}")
        click.echo(f"  Dashboard   {dashboard}")
        click.echo()
        click.echo(f"{hint}Press Ctrl-C to stop.")
        if self._options.browser:
            webbrowser.open(jupyter_url)

    def _login_link(self, hub: RunningHub) -> tuple[str, str]:
        """The link, and what to say about it."""
        with HubClient(hub.url, hub.admin_token) as client:
            login = client.create_login_code()
        data = self._options.data
        named = "" if data == default_data_folder().absolute() else f" --data {shlex.quote(str(data))}"
        another = spelled(f"`ds hub{named} login-link` makes another")
        return login.url, f"The dashboard link signs one browser in, once, within 10 minutes; {another}.\n"

    def _stop(self) -> None:
        for component in (self._jupyter, self._committer, self._hub):
            if component is not None and component.alive:
                click.echo(f"Stopping {component.name} …")
                processes.stop(component)

    def _kill(self) -> None:
        for component in (self._jupyter, self._committer, self._hub):
            if component is not None:
                processes.kill(component)
        click.echo("Killed; the committer and the hub recover by themselves at the next start.", err=True)


def _path_with_scripts() -> str:
    """PATH, in which what was installed together with this `ds` comes first."""
    return os.pathsep.join(filter(None, (str(scripts_folder()), os.environ.get("PATH"))))


def _committer_answers(root: Path) -> bool:
    try:
        CommitterClient(root, timeout_s=5.0).status()
    except CommitterUnavailable:
        return False
    return True


def _answers(url: str) -> bool | None:
    import requests

    try:
        requests.get(url, timeout=2)
    except requests.RequestException:
        return None
    return True


def _require_components() -> None:
    missing = [
        name for name in ("jupyterlab", "tornado", "watchdog", "sqlalchemy") if not importlib.util.find_spec(name)
    ]
    if missing:
        raise ConfigError(f"`ds up` needs {', '.join(missing)}; install them with: pip install 'dotscience[local]'")


def _tracked_root(folder: Path, *, force: bool, yes: bool) -> Path:
    folder = folder.expanduser().absolute()
    if not is_root(folder) and (above := find_root(folder)) is not None:
        click.echo(f"{folder} is part of the tracked folder {above}; using that one.")
        return above
    if not is_root(folder):
        _initialise(folder, force=force, yes=yes)
    return folder


def _initialise(folder: Path, *, force: bool, yes: bool) -> None:
    flags = [*(["--force"] if force else []), *(["--yes"] if yes else [])]
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    # `ds init` belongs to the committer, which this package may not import; it asks its questions on our terminal.
    finished = subprocess.run([*DS, "init", str(folder), "--offline", "--no-next", *flags], check=False)
    if finished.returncode != 0:
        if made:
            folder.rmdir()
        sys.exit(finished.returncode)


def _offer_example(root: Path, wanted: bool | None) -> None:
    if wanted is None:
        if any(root.glob("*.ipynb")) or not sys.stdin.isatty():
            return
        wanted = click.confirm(f"There is no notebook in {root} yet. Put an example there?", default=True)
    if wanted:
        click.echo(f"Example notebook: {example.write_example(root)}")


@contextmanager
def _interruptible(clean_up: Callable[[], None], give_up: Callable[[], None]) -> Iterator[None]:
    """Leave the body at the first SIGINT or SIGTERM, and clean up; a later one meanwhile gives up on that.

    A second signal within `ECHO_S` is the first one's echo: a terminal and a wrapper, such as timeout(1), may both send
    theirs.
    """
    interrupted_at = 0.0

    def on_signal(_number: int, _frame: object) -> None:
        nonlocal interrupted_at
        if interrupted_at == 0.0:
            interrupted_at = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - interrupted_at > ECHO_S:
            give_up()
            os._exit(130)

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        click.echo()
    finally:
        interrupted_at = interrupted_at or time.monotonic()
        clean_up()
        for number, handler in previous.items():
            signal.signal(number, handler)
