"""What the audit log has of a call."""

from __future__ import annotations

from typing import Any

from hub_server.domain.types import AccountInfo
from hub_server.services.audit import MAX_TARGET_CHARS
from hub_server.services.services import Services
from hub_server.store.audit import NewEntry
from hub_server.web.operation import Call, Operation, Reply


async def note(
    hub: Services, operation: Operation, call: Call[Any, Any], status: int, reply: Reply | None = None
) -> None:
    """Note a call that was carried out, or refused by the operation itself; nothing for those that are not audited."""
    if not operation.is_audited(call):
        return
    reply = reply or Reply()
    caller = call.known_caller
    account = reply.signed_in if caller is None else AccountInfo(caller.account_id, caller.account_name)
    entry = NewEntry(
        at=hub.audit.clock(),
        account_id=account.id if account else None,
        account_name=account.name if account else "",
        credential=caller.credential if caller else "",
        client=call.request.client,
        action=operation.name,
        project=call.found_project.id if call.found_project else reply.about,
        target=_printable(f"{operation.target(call)} {reply.noted}".strip()),
        status=status,
    )
    await hub.audit.note(entry)


def _printable(target: str) -> str:
    """Databases and terminals take less than clients send."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in target)[:MAX_TARGET_CHARS]
