"""What callers may do.

Every operation of the API declares one scope, or one of the two access levels below. A token holds a set of scopes;
what counts at a request is that set intersected with what its account's role allows today, so that a demoted
account's old tokens are demoted with it. A token of one project never has the scopes that reach beyond it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

ANONYMOUS = "anonymous"
SIGNED_IN = "signed-in"
ACCESS_LEVELS = frozenset({ANONYMOUS, SIGNED_IN})
"""Declared in place of a scope: open to everybody, or to every caller with a valid token or session."""

SCOPES: dict[str, str] = {
    "admin": "Make login links for the account, and have the hub look after its storage.",
    "tokens:write": "Make, list and revoke tokens.",
    "projects:read": "List projects and read one.",
    "projects:write": "Make projects.",
    "runs:read": "Read runs, commits and the files of a commit.",
    "commits:write": "Push packs and commits to a dot.",
    "metrics:read": "Read what the hub measures of itself.",
    "zfs:receive": "Send ZFS streams to a dot's dataset, where the hub takes any; for machines that are trusted.",
}
"""Every scope with its meaning."""

BEYOND_PROJECTS = frozenset({"admin", "metrics:read", "projects:write"})
"""The scopes whose operations reach beyond any one project."""

Role = Literal["admin"]
ROLE_SCOPES: dict[str, frozenset[str]] = {"admin": frozenset(SCOPES)}


class Caller(Struct, frozen=True, kw_only=True):
    """Whoever sent a request, after authentication.

    `project_id` is set for a token that is bound to one project: for it nothing else exists. `expires_at` is when the
    token stops working, if ever. `credential` names the token or session in logs; it is no secret.
    """

    account_id: str
    account_name: str
    scopes: frozenset[str]
    project_id: str | None = None
    expires_at: datetime | None = None
    credential: str = ""

    def may(self, scope: str) -> bool:
        """Whether the caller holds `scope`; each signed-in caller passes `SIGNED_IN` and `ANONYMOUS`."""
        return scope in ACCESS_LEVELS or scope in self.scopes

    def sees(self, project_id: str) -> bool:
        """Whether the project exists as far as this caller is concerned."""
        return self.project_id is None or self.project_id == project_id


def effective_scopes(granted: frozenset[str], role: str, *, project_id: str | None = None) -> frozenset[str]:
    """What is left of `granted` by the role (an unknown one allows nothing) and by the project a token is bound to."""
    allowed = granted & ROLE_SCOPES.get(role, frozenset())
    return allowed if project_id is None else allowed - BEYOND_PROJECTS
