"""A tracked folder to run in, and a library of one's own to run."""

import threading

import pytest
from hypothesis import settings

from dotscience import Dotscience, surroundings
from dotscience.workspace import ROOT_VARIABLE, new_workspace, write_project

settings.register_profile("dotscience", deadline=None)
settings.load_profile("dotscience")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A tracked folder that is the working directory; what the library does in the background has ended after it."""
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(new_workspace(folder))
    monkeypatch.chdir(folder)
    monkeypatch.setenv(ROOT_VARIABLE, str(folder))
    monkeypatch.delenv(surroundings.WORKLOAD_VARIABLE, raising=False)
    yield folder
    wait_for_environments()


@pytest.fixture
def ds(root):
    return Dotscience()


def wait_for_environments():
    for thread in threading.enumerate():
        if thread.name == "dotscience-environment":
            thread.join()
