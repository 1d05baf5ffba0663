"""The frame of the `ds` command."""

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

import dotscience
from dotscience.cli import frame as cli
from dotscience.errors import ConfigError

REPOSITORY = Path(__file__).parents[3]


def ds(*arguments: str):
    return CliRunner().invoke(cli.main, arguments)


@click.command()
def broken() -> None:
    raise ConfigError("settings.toml is wrong; repair it")


@pytest.fixture
def third_party(monkeypatch):
    """A component of somebody else, with one command."""
    module = ModuleType("third_party_cli")
    module.commands = [broken]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    install(monkeypatch, third="third_party_cli:commands")


def install(monkeypatch, **values):
    entries = [EntryPoint(name, value, cli.GROUP) for name, value in values.items()]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: entries)


def test_version_is_the_packages():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert ds("--version").output == f"ds, version {dotscience.__version__}\n"
    assert project.get("version", dotscience.__version__) == dotscience.__version__


def test_components_are_where_the_packages_entry_points_say():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"][cli.GROUP] == cli.COMPONENT_PLACES


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--version"], ["click", "importlib.metadata", "msgspec"]),
        (["status", "--help"], ["asyncio", "structlog", "tornado", "committer.service", "importlib.metadata", "rich"]),
    ],
)
def test_what_a_short_command_does_not_import(arguments, unwanted):
    code = (
        "import sys; from dotscience.cli import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {unwanted!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_lists_commands_and_examples():
    result = ds("--help")
    assert result.exit_code == 0
    assert "inspect" in result.output
    assert "ds up" in result.output


def test_an_error_of_ours_is_one_line(third_party):
    result = ds("broken")
    assert (result.exit_code, result.output) == (1, "Error: settings.toml is wrong; repair it\n")


def test_a_component_that_is_not_installed_names_its_extra(monkeypatch):
    install(monkeypatch, hub="dotscience.no_such_module:commands")
    monkeypatch.setitem(cli.COMPONENT_PLACES, "hub", "dotscience.no_such_module:commands")
    result = ds("hub", "--port", "0")
    assert result.exit_code == 1
    assert "pip install 'dotscience[hub]'" in result.output
    assert ds("--help").exit_code == 0


@pytest.mark.parametrize("arguments", [["no-such-command"], ["inspect"], ["inspect", "--no-such-option", "."]])
def test_a_wrong_command_line_is_status_2(arguments, monkeypatch):
    install(monkeypatch)
    assert ds(*arguments).exit_code == 2


def test_every_built_in_command_is_there():
    assert all(ds(name, "--help").exit_code == 0 for name in cli.BUILT_IN)


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "dotscience.cli", "--version"]
    assert subprocess.run(command, capture_output=True, check=True, cwd=REPOSITORY).stdout.startswith(b"ds, version ")
