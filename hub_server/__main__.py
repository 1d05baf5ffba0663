"""`python -m hub_server` is `ds hub`."""

import sys

from dotscience.errors import DotscienceError
from hub_server.cli import hub

try:
    hub(prog_name="ds hub")
except DotscienceError as error:
    sys.exit(f"Error: {error}")
