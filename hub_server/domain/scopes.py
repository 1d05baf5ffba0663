"""What callers may do.

Every operation of the API declares one scope, or one of the two access levels below. A token holds a set of scopes;
what counts at a request is that set intersected with what its account's role allows today, so that a demoted
account's old tokens are demoted with it. A token of one project never has the scopes that reach beyond it.

Inside a project the caller's role there narrows this further. Administrators of the hub are owners of every project; a
public project can be read by everybody, signed in or not.
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
    "admin": "Look after the hub: its accounts, its audit log and its storage; and make login links.",
    "tokens:write": "Make, list and revoke tokens.",
    "projects:read": "List projects and read one.",
    "projects:write": "Make projects.",
    "projects:admin": "Rename a project, open it to the public, move it to the trash, choose who works on it.",
    "runs:read": "Read runs, commits and the files of a commit.",
    "runs:write": "Name, describe and tag runs, and move them to the trash and back.",
    "comments:write": "Comment on runs.",
    "commits:write": "Push packs and commits to a dot.",
    "metrics:read": "Read what the hub measures of itself.",
    "zfs:receive": "Send ZFS streams to a dot's dataset, where the hub takes any; for machines that are trusted.",
}
"""Every scope with its meaning."""

BEYOND_PROJECTS = frozenset({"admin", "metrics:read", "projects:write"})
"""The scopes whose operations reach beyond any one project."""

Role = Literal["admin", "member", "disabled"]
ROLE_SCOPES: dict[str, frozenset[str]] = {
    "admin": frozenset(SCOPES),
    "member": frozenset(SCOPES) - {"admin", "metrics:read", "zfs:receive"},
    "disabled": frozenset(),
}
"""What the roles of accounts allow; `zfs receive` trusts whoever sends, so that administrators alone hand that out."""

PUBLIC_SCOPES = frozenset({"projects:read", "runs:read"})
"""What everybody may do in a public project."""

ProjectRole = Literal["viewer", "editor", "owner"]
_VIEWER = PUBLIC_SCOPES | {"comments:write"}
_EDITOR = _VIEWER | {"runs:write", "commits:write", "zfs:receive"}
PROJECT_ROLE_SCOPES: dict[str, frozenset[str]] = {
    "viewer": _VIEWER,
    "editor": _EDITOR,
    "owner": _EDITOR | {"projects:admin"},
}
"""What the roles of a project's collaborators allow in it."""


class Caller(Struct, frozen=True, kw_only=True):
    """Whoever sent a request, after authentication.

    `project_id` is set for a token that is bound to one project: for it nothing else exists. `expires_at` is when the
    token stops working, if ever. `credential` names the token or session in logs; it is no secret. `is_admin` is about
    the account, not about what the token may do.
    """

    account_id: str
    account_name: str
    scopes: frozenset[str]
    project_id: str | None = None
    expires_at: datetime | None = None
    credential: str = ""
    is_admin: bool = False

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody has signed in."""
        return not self.account_id

    def may(self, scope: str) -> bool:
        """Whether the caller holds `scope`; each signed-in caller passes `SIGNED_IN` and `ANONYMOUS`."""
        return scope in ACCESS_LEVELS or scope in self.scopes

    def sees(self, project_id: str) -> bool:
        """Whether the project exists as far as this caller is concerned."""
        return self.project_id is None or self.project_id == project_id


ANYBODY = Caller(account_id="", account_name="", scopes=PUBLIC_SCOPES, credential="anonymous")
"""A caller that shows no token and no session, where that is enough."""


def project_scopes(caller: Caller, role: str | None, *, is_public: bool) -> frozenset[str]:
    """What may be done in a project by a caller with this role there, as far as the caller's own scopes go."""
    if caller.is_admin:
        return PROJECT_ROLE_SCOPES["owner"]
    granted = PROJECT_ROLE_SCOPES.get(role or "", frozenset())
    return granted | PUBLIC_SCOPES if is_public else granted


def effective_scopes(granted: frozenset[str], role: str, *, project_id: str | None = None) -> frozenset[str]:
    """What is left of `granted` by the role (an unknown one allows nothing) and by the project a token is bound to."""
    allowed = granted & ROLE_SCOPES.get(role, frozenset())
    return allowed if project_id is None else allowed - BEYOND_PROJECTS
