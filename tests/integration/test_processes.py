"""Where tests run in several processes: in which of them."""

from __future__ import annotations

import os


def test_those_of_a_file_run_in_one_process(request):
    """They share a hub, and a plug-in that does not understand groups says nothing."""
    group = f"@{request.path.name}"
    assert request.node.nodeid.endswith(group) == ("PYTEST_XDIST_WORKER" in os.environ)
