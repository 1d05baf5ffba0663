"""Links to pages of the dashboard."""

from __future__ import annotations

from urllib.parse import urlencode

from hub_server.domain.types import LoginCodeInfo
from hub_server.services.identity import Secret
from hub_server.services.services import Services

CHOOSE_PASSWORD = "/password"  # noqa: S105 - a page's path


def login_link(hub: Services, made: Secret, *, then: str | None = None) -> LoginCodeInfo:
    """A login code as a link, which leads on to the page `then`.

    The code is in the fragment, which browsers send to nobody.
    """
    search = "" if then is None else "?" + urlencode({"next": then})
    url = f"{hub.public_url}/login{search}#code={made.secret}"
    return LoginCodeInfo(code=made.secret, url=url, expires_at=made.expires_at)
