"""`ds run`: the command line of executions. Local ones are done by the provider of `dotscience.local_run`."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from keyword import iskeyword
from pathlib import Path
from typing import Protocol

import click
from msgspec import Struct

from dotscience.errors import ConfigError

LOCAL_RUN_GROUP = "dotscience.local_run"
INSTALL = "install it with: pip install 'dotscience[runner]'"


class Execution(Struct, frozen=True, kw_only=True):
    """What to execute: a notebook with parameters, or a command line."""

    folder: Path
    notebook: Path | None = None
    parameters: dict[str, str] = {}
    command: tuple[str, ...] = ()
    kernel: str | None = None
    timeout_s: int | None = None


class LocalRun(Protocol):
    """What the entry point `dotscience.local_run` provides: executes here and returns the exit status."""

    def __call__(self, execution: Execution) -> int:
        """Execute here and return the exit status."""
        ...


class _Run(click.Command):
    """Options may follow a notebook; all that follows a command is the command's own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as for a command, and again where the first word turns out to be a notebook."""
        rest = super().parse_args(ctx, list(args))
        what: tuple[str, ...] = ctx.params.get("what") or ()
        if len(what) > 1 and what[0].endswith(".ipynb"):
            ctx.params.clear()
            ctx.allow_interspersed_args, ctx.ignore_unknown_options = True, False
            rest = super().parse_args(ctx, list(args))
        return rest


@click.command(
    "run",
    cls=_Run,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  ds run train.ipynb
  ds run train.ipynb --param epochs=10 --param optimizer=adam
  ds run -- python train.py --epochs 10
""",
)
@click.option(
    "--param", "-P", "parameters", metavar="NAME=VALUE", multiple=True, help="A parameter of a notebook; repeatable."
)
@click.option("--kernel", metavar="NAME", help="The kernel for a notebook; the one it names by default.")
@click.option("--timeout", "timeout_s", type=click.IntRange(min=1), metavar="S", help="Seconds a cell may take.")
@click.option("-d", "--detach", is_flag=True, help="Run on a runner of the hub, and return at once.")
@click.option("--runner", metavar="NAME", help="Run on this runner of the hub.")
@click.option("-I", "--image", metavar="IMAGE", help="Run in this container image, on a runner of the hub.")
@click.argument("what", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    parameters: tuple[str, ...],
    kernel: str | None,
    timeout_s: int | None,
    detach: bool,
    runner: str | None,
    image: str | None,
    what: tuple[str, ...],
) -> None:
    """Execute a notebook or a command, and record its runs.

    A notebook is saved after each cell; where a cell fails, the failure is kept in the file and the exit status is 1.
    A command's runs are picked from its output, whichever library or language printed them; its exit status is kept.
    """
    if detach or runner or image:
        raise ConfigError("-d, --runner and --image need a hub with runners, which this version does not have yet")
    sys.exit(_local_run()(_execution(what, parameters, kernel, timeout_s)))


def _execution(
    what: tuple[str, ...], parameters: tuple[str, ...], kernel: str | None, timeout_s: int | None
) -> Execution:
    if len(what) == 1 and what[0].endswith(".ipynb"):
        return Execution(
            folder=Path.cwd(),
            notebook=Path(what[0]).absolute(),
            parameters=dict(_parameter(text) for text in parameters),
            kernel=kernel,
            timeout_s=timeout_s,
        )
    if what[0].endswith(".ipynb"):
        raise click.UsageError(f"one notebook at a time: {' '.join(what[1:])} is left over")
    if parameters or kernel or timeout_s:
        raise click.UsageError("--param, --kernel and --timeout are for notebooks; give a command its own arguments")
    return Execution(folder=Path.cwd(), command=what)


def _parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier() or iskeyword(name):
        raise click.UsageError(f"--param {text!r} is not NAME=VALUE with a Python name")
    return name, value


def _local_run() -> LocalRun:
    provider = next(iter(entry_points(group=LOCAL_RUN_GROUP)), None)
    try:
        local_run: LocalRun | None = provider.load() if provider else None
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is missing, without which nothing runs here; {INSTALL}") from error
    if local_run is None:
        raise ConfigError(f"the runner is missing, without which nothing runs here; {INSTALL}")
    return local_run
