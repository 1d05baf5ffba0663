"""What `ds run` understands of its command line, and what it says where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dotscience.cli import run as run_module
from dotscience.errors import ConfigError


@pytest.fixture
def executed(monkeypatch):
    """Collects executions instead of doing them."""
    found = []
    monkeypatch.setattr(run_module, "_local_run", lambda: lambda execution: found.append(execution) or 7)
    return found


def ds_run(*arguments):
    return CliRunner().invoke(run_module.run, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--param", "n=1", "-P", "m=a=b", "--timeout", "9", "a.ipynb"),
        ("a.ipynb", "--param", "n=1", "-P", "m=a=b", "--timeout", "9"),
    ],
)
def test_options_may_stand_before_and_after_a_notebook(executed, arguments):
    finished = ds_run(*arguments)
    assert finished.exit_code == 7, finished.output
    (execution,) = executed
    assert execution.notebook == Path.cwd() / "a.ipynb"
    assert execution.parameters == {"n": "1", "m": "a=b"}
    assert execution.timeout_s == 9


@pytest.mark.parametrize(
    "arguments",
    [
        ("--", "python", "train.py", "-d", "x", "--param", "n=1"),
        ("python", "train.py", "-d", "x", "--param", "n=1"),
    ],
)
def test_all_that_follows_a_command_is_its_own(executed, arguments):
    assert ds_run(*arguments).exit_code == 7
    (execution,) = executed
    assert execution.command == ("python", "train.py", "-d", "x", "--param", "n=1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument"),
        (("--param", "n", "a.ipynb"), "NAME=VALUE"),
        (("--param", "1n=2", "a.ipynb"), "NAME=VALUE"),
        (("--param", "n=1", "--", "python"), "for notebooks"),
        (("--timeout", "0", "a.ipynb"), "timeout"),
        (("a.ipynb", "--nonsense"), "nonsense"),
        (("a.ipynb", "b.ipynb"), "one notebook"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(executed, arguments, said):
    finished = ds_run(*arguments)
    assert finished.exit_code == 2
    assert said in finished.output
    assert executed == []


@pytest.mark.parametrize("option", [("-d",), ("--runner", "gpu"), ("-I", "python:3")])
def test_remote_execution_says_that_it_is_not_there_yet(executed, option):
    finished = ds_run(*option, "a.ipynb")
    assert isinstance(finished.exception, ConfigError)
    assert "runners" in str(finished.exception)
    assert executed == []
