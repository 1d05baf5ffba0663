"""Scripts in real interpreters: what they leave, also when they crash."""

import platform
import re
import signal

import pytest

from dotscience.notebook import find_runs_in_text
from dotscience.record import Environment, decode_json


def test_a_script_leaves_a_sidecar_a_marker_and_its_environment(run_script, sidecars, root):
    result = run_script("import dotscience as ds\nds.script()\nds.start()\nds.parameter('lr', 0.5)\nds.publish('fit')")
    [record] = sidecars()
    [found] = find_runs_in_text(result.stdout, path="out")
    assert (result.returncode, result.stderr) == (0, "")
    assert (record.description, record.parameters, record.workload_file) == ("fit", {"lr": 0.5}, "script.py")
    assert (found.run_id, found.metadata["workload-file"]) == (record.run_id, "script.py")
    left = root / f".dotscience/runs/{record.environment}.environment.json"
    assert decode_json(left.read_bytes(), Environment).python == platform.python_version()


def test_the_marker_starts_a_line_of_its_own_in_one_write(run_script):
    result = run_script("import dotscience as ds\nprint('99%|###', end='')\nds.publish()")
    assert re.search(r"^\[\[DOTSCIENCE-RUN:.*\]\]$", result.stdout, re.MULTILINE)


def test_a_crash_is_a_failed_run_and_still_a_crash(run_script, sidecars):
    result = run_script("import dotscience as ds\nds.start('fit')\nds.parameter('lr', 1)\nraise ValueError('no data')")
    [record] = sidecars()
    assert result.returncode == 1
    assert result.stderr.endswith("ValueError: no data\n")
    assert (record.description, record.error, record.parameters) == ("fit", "ValueError: no data", {"lr": 1})
    assert "script.py" in record.traceback
    assert find_runs_in_text(result.stdout, path="out")[0].metadata["error"] == "ValueError: no data"


@pytest.mark.parametrize("code", ["", "ds.publish()\n", "with ds.run():\n    pass\n"])
def test_a_crash_with_nothing_to_publish_is_no_run(run_script, sidecars, code):
    result = run_script(f"import dotscience as ds\n{code}raise ValueError('no data')")
    assert result.returncode == 1
    assert [record.error for record in sidecars() if record.error] == []


def test_a_block_that_fails_is_published_once(run_script, sidecars):
    run_script("import dotscience as ds\nwith ds.run('x'):\n    1 / 0")
    assert [record.error for record in sidecars()] == ["ZeroDivisionError: division by zero"]


def test_a_thread_that_crashes(run_script, sidecars):
    code = """
        import threading
        import dotscience as ds

        def work():
            ds.start("in a thread")
            raise OSError("disk")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        ds.publish("main")
    """
    assert "OSError: disk" in run_script(code).stderr
    assert {record.description: record.error for record in sidecars()} == {"in a thread": "OSError: disk", "main": None}


def test_a_coroutine_that_crashes(run_script, sidecars):
    code = """
        import asyncio
        import dotscience as ds

        async def main():
            ds.start("in a task")
            raise OSError("disk")

        asyncio.run(main())
    """
    run_script(code)
    assert {record.description: record.error for record in sidecars()} == {"in a task": "OSError: disk"}


def test_hooks_of_others_are_called_too(run_script):
    code = """
        import sys
        sys.excepthook = lambda *args: print("mine", args[0].__name__)
        import dotscience as ds
        ds.start()
        raise KeyError
    """
    assert run_script(code).stdout.endswith("mine KeyError\n")


def test_redirected_standard_output_does_not_take_the_marker(run_script):
    code = """
        import contextlib, io
        import dotscience as ds
        with contextlib.redirect_stdout(io.StringIO()):
            ds.publish()
    """
    assert "[[DOTSCIENCE-RUN:" in run_script(code).stdout


def test_a_closed_standard_output_does_not_lose_the_run(run_script, sidecars):
    result = run_script("import sys, dotscience as ds\nsys.stdout.close()\nds.publish('x')\nsys.exit(7)")
    assert result.returncode == 7
    assert "its sidecar carries it" in result.stderr
    assert len(sidecars()) == 1


def test_forked_children_publish_runs_of_their_own(run_script, sidecars):
    code = """
        import multiprocessing
        import dotscience as ds

        def work(number):
            with ds.run(f"child {number}"):
                ds.metric("n", number)

        ds.start("parent")
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(work, range(4))
        ds.publish()
    """
    run_script(code)
    records = sidecars()
    assert sorted(record.description for record in records) == [*(f"child {n}" for n in range(4)), "parent"]
    assert len({record.run_id for record in records}) == 5


def test_an_untracked_folder_is_warned_about_once(run_script, root):
    (root / ".dotscience/project.toml").unlink()
    result = run_script("import dotscience as ds\nfor _ in range(3):\n    ds.publish()")
    assert result.stdout.count("[[/DOTSCIENCE-RUN:") == 3
    assert result.stderr.count("is not in a tracked folder") == 1
    assert "script.py:3" in result.stderr


def test_importing_is_cheap(run_script):
    """No time is measured: what makes an import slow is what it imports."""
    code = "import sys\nbefore = set(sys.modules)\nimport dotscience\nprint(*(set(sys.modules) - before))"
    imported = set(run_script(code).stdout.split())
    heavy = {"msgspec", "json", "logging", "pathlib", "asyncio", "subprocess", "uuid", "inspect", "click", "requests"}
    assert "dotscience.tracking" in imported
    assert heavy & imported == set()


@pytest.mark.parametrize("start", ["", "ds.start('fit')\n"])
def test_an_interrupted_script_ends_by_the_signal(run_script, sidecars, start):
    """So that a shell's loop over scripts ends, too."""
    result = run_script(
        f"import os, signal\nimport dotscience as ds\n{start}os.kill(os.getpid(), signal.SIGINT)\nsignal.pause()"
    )
    assert result.returncode == -signal.SIGINT
    assert result.stderr.endswith("KeyboardInterrupt\n")
    assert [record.error for record in sidecars()] == (["KeyboardInterrupt"] if start else [])
