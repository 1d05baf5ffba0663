"""The `ds` command: the frame that finds subcommands and says what went wrong in one line.

Commands that only need the base install are listed in `BUILT_IN`; a component brings its own through the entry-point
group `dotscience.commands`, whose entries are lists of click commands. Nothing is imported before it is asked for.

Exit status: 0 done, 1 it failed, 2 the command line is wrong.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from dotscience.errors import DotscienceError
from dotscience.version import __version__

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "dotscience.commands"

BUILT_IN = {
    "inspect": "dotscience.cli.inspect:inspect",
    "login": "dotscience.cli.login:login",
    "logout": "dotscience.cli.login:logout",
    "project": "dotscience.cli.project:project",
    "run": "dotscience.cli.run:run",
    "runs": "dotscience.cli.runs:runs",
    "up": "dotscience.cli.up:up",
}
"""Command name to the place of its click command."""

COMPONENT_COMMANDS = {
    "committer": (
        *("checkout", "clone", "commit", "committer", "diff", "doctor", "gc", "init", "log"),
        *("mount", "restore", "snapshot", "status", "verify"),
    ),
    "hub": ("hub",),
}
"""Entry-point name, which is also the name of its extra, to the commands it brings: known even where it is missing."""

COMPONENT_PLACES = {"committer": "committer.cli:commands", "hub": "hub_server.cli:commands"}
"""The same entry points as in pyproject.toml: reading the packaging metadata is half of what a short command costs."""

EPILOG = """\b
Examples:
  ds init                        track this folder
  ds clone URL                   a tracked folder of a project on a hub
  ds up                          hub, committer and JupyterLab, together
  ds run notebook.ipynb          execute a notebook and record its runs
  ds inspect notebook.ipynb      the runs in a notebook, log or sidecar
  ds runs ls                     the runs of this folder's project
"""


class CommandGroup(click.Group):
    """A click group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All commands that can be used here."""
        installed = [name for entry in _entries() for name in _commands_of(entry)]
        return sorted({*BUILT_IN, *installed})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command, or None; for one whose component is not installed, an error that names the extra."""
        if cmd_name in BUILT_IN:
            return _import_command(BUILT_IN[cmd_name])
        if (command := _of_component(cmd_name)) is not None:
            return command
        for entry in _entries_for(cmd_name):
            if (command := _commands_of(entry).get(cmd_name)) is not None:
                return command
        return _missing(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours is shown as one line, without a traceback."""
        try:
            return super().invoke(ctx)
        except DotscienceError as error:
            from dotscience.invocation import spelled

            raise click.ClickException(spelled(str(error))) from error


def _import_command(place: str) -> click.Command:
    module, _, attribute = place.partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    return command


def _of_component(name: str) -> click.Command | None:
    """A command of one of our components; None where that is not installed, or no component of ours has it."""
    component = next((one for one, commands in COMPONENT_COMMANDS.items() if name in commands), None)
    if component is None:
        return None
    module, _, attribute = COMPONENT_PLACES[component].partition(":")
    try:
        commands: list[click.Command] = getattr(import_module(module), attribute)
    except ImportError:
        return None
    return next((command for command in commands if command.name == name), None)


def _entries() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def _entries_for(command: str) -> list[EntryPoint]:
    """The entry that is known to bring `command`, alone; for a command nobody knows, all of them."""
    entries = _entries()
    known = [entry for entry in entries if command in COMPONENT_COMMANDS.get(entry.name, ())]
    return known or entries


def _commands_of(entry: EntryPoint) -> dict[str, click.Command]:
    """The commands of a component by name; none where what it needs is not installed."""
    try:
        commands: list[click.Command] = entry.load()
    except ImportError:
        return {}
    return {command.name: command for command in commands if command.name}


def _missing(command: str) -> click.Command | None:
    """A stand-in that says which extra brings `command`; None where no component of ours does."""
    extra = next((name for name, commands in COMPONENT_COMMANDS.items() if command in commands), None)
    if extra is None:
        return None

    @click.command(command, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def unavailable(arguments: tuple[str, ...]) -> None:  # noqa: ARG001 - any command line gets the same answer
        raise click.ClickException(
            f"`ds {command}` needs a part that is not installed; run: pip install 'dotscience[{extra}]'"
        )

    return unavailable


@click.group(cls=CommandGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ds")
def main() -> None:
    """Git for executions: every run of a notebook or script, with its code, data, parameters and metrics."""
