"""Links from the panel to pages of the hub, which sign this user in where the hub is their own, on this machine."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from dotscience.client.address import is_on_this_machine
from dotscience.client.hub import HubClient
from dotscience.client.local_hub import default_data_folder, find_hub
from dotscience.errors import HubError
from dotscience.workspace import HubBinding


def page_path(binding: HubBinding, run_id: str | None) -> str:
    """The path below the hub's address of a run's page, or of the project's; ids cannot lead anywhere else."""
    project = f"/p/{quote(binding.project_id, safe='')}"
    return project if run_id is None else f"{project}/runs/{quote(run_id, safe='')}"


def page_url(binding: HubBinding, path: str) -> str:
    """The address of a page."""
    return binding.url.rstrip("/") + path


def login_url(binding: HubBinding, path: str) -> str | None:
    """An address that signs one browser in as the hub's operator, once, and goes on to a page; blocks for seconds.

    None unless the hub that the workspace is bound to is the one on this machine whose token this user may read: the
    data folder decides which that is, not the workspace, whose files may come from anywhere.
    """
    running = find_hub(default_data_folder()) if is_on_this_machine(binding.url) else None
    if running is None or running.url.rstrip("/") != binding.url.rstrip("/"):
        return None
    try:
        with HubClient(running.url, running.admin_token, retries=0) as client:
            code = client.create_login_code().code
    except HubError:
        return None
    return page_url(binding, "/login?" + urlencode({"next": path})) + f"#code={quote(code, safe='')}"
