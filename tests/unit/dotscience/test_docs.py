"""The documentation of the library leaves nothing out."""

from pathlib import Path

import pytest

import dotscience
from dotscience.record import RUN_MIME

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", [name for name in dotscience.__all__ if not name.startswith("__")])
def test_every_public_name_is_described(name):
    text = (DOCS / "library.md").read_text("utf-8")
    assert f"ds.{name}" in text or f"`{name}`" in text


def test_the_wire_format_names_what_is_on_the_wire():
    text = (DOCS / "wire-format.md").read_text("utf-8")
    for key in (
        "version",
        "input",
        "output",
        "parameters",
        "summary",
        "labels",
        "description",
        "error",
        "workload-file",
    ):
        assert f"`{key}`" in text
    assert RUN_MIME in text
