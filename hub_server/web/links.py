"""Links to pages of the dashboard."""

from __future__ import annotations

from hub_server.domain.types import LoginCodeInfo
from hub_server.services.identity import Secret
from hub_server.services.services import Services


def login_link(hub: Services, made: Secret) -> LoginCodeInfo:
    """A login code as a link; the code is in the fragment, which browsers send to nobody."""
    url = f"{hub.public_url}/login#code={made.secret}"
    return LoginCodeInfo(code=made.secret, url=url, expires_at=made.expires_at)
