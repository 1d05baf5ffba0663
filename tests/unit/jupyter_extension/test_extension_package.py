"""What Jupyter reads from the package before anything runs."""

import json
import subprocess
import sys
from pathlib import Path

import jupyter_extension
from dotscience.version import __version__

REPOSITORY = Path(__file__).parents[3]
HEAVY = ("jupyter_server", "tornado", "traitlets", "msgspec", "requests")


def test_importing_it_is_cheap_and_needs_nothing():
    program = f"import sys, jupyter_extension; sys.exit(str([name for name in {HEAVY} if name in sys.modules]))"
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.stderr.strip() == "[]"


def test_names_and_versions_agree():
    package = json.loads((REPOSITORY / "labextension" / "package.json").read_text())
    assert package["name"] == jupyter_extension.LABEXTENSION
    assert package["version"] == jupyter_extension.__version__ == __version__
    (place,) = jupyter_extension._jupyter_labextension_paths()
    assert (REPOSITORY / "labextension" / package["jupyterlab"]["outputDir"]).resolve() == (
        REPOSITORY / "jupyter_extension" / place["src"]
    )


def test_the_server_finds_the_app():
    (point,) = jupyter_extension._jupyter_server_extension_points()
    assert point["module"] == "jupyter_extension"
    assert point["app"].name == "dotscience"
