"""Every command and every option is documented, and every command shows an example."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from dotscience.cli.frame import main

DOCS = "\n".join(path.read_text("utf-8") for path in (Path(__file__).parents[3] / "docs").glob("*.md"))


def commands(group=main, prefix="ds"):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield f"{prefix} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_documented(name):
    assert f"`{name}" in DOCS or f"\n{name}" in DOCS


@pytest.mark.parametrize("name", ALL)
def test_every_option_is_documented(name):
    options = [option for option in ALL[name].params if isinstance(option, click.Option) and not option.hidden]
    missing = [option.opts[0] for option in options if not any(f"`{text}" in DOCS for text in option.opts)]
    assert [option for option in missing if option not in {"--help", "-h"}] == []


@pytest.mark.parametrize("name", ALL)
def test_every_command_shows_an_example(name):
    help_text = ALL[name].get_help(click.Context(ALL[name], info_name=name))
    assert "Example" in help_text
    assert "\b" not in help_text
    assert "\\b" not in help_text
