"""`python -m hub_server` is `ds hub`."""

from hub_server.cli import hub

hub(prog_name="ds hub")
