from __future__ import annotations

import subprocess
import sys

HUB_MODULES = ["objects", "tree", "chunks", "pack", "reader", "diff", "durability", "compression", "zfs.dataset"]


def test_a_hub_needs_nothing_that_only_a_committer_installs():
    """The `hub` extra has neither the chunker nor the pattern matcher, nor does reading need them."""
    imports = ", ".join(f"committer.storage.{name}" for name in HUB_MODULES)
    program = f"import sys, {imports}; print({{'pyfastcdc', 'pathspec', 'watchdog', 'tornado'}} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"


def test_the_package_itself_imports_nothing():
    program = (
        "import sys; before = set(sys.modules); import committer; print(set(sys.modules) - before - {'committer'})"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"
