"""Who is calling, when the disk is full."""

from __future__ import annotations

import asyncio

import pytest

from dotscience.errors import DiskFull
from hub_server.domain.scopes import Caller
from hub_server.domain.types import AccountInfo
from hub_server.services.identity import Identity, TokenRequest
from hub_server.store.backends.sqlite import Sqlite
from hub_server.store.database import Database


class FullDatabase(Database):
    """A database that can only be read."""

    async def write(self, work):
        raise DiskFull("the disk is full")


@pytest.fixture
def full(database, tmp_path):
    opened = FullDatabase(Sqlite(tmp_path / "hub.db"))
    yield opened
    opened.close()


def test_a_token_works_while_its_use_cannot_be_noted(database, full):
    async def work():
        identity = Identity(database)
        account = await identity.ensure_administrator(AccountInfo("id", "owner"))
        owner = Caller(account_id=account.id, account_name=account.name, scopes=frozenset({"runs:read"}))
        request = TokenRequest(name="t", scopes=["runs:read"], project_id=None, expires_in_s=None)
        made = await identity.create_token(owner, request)
        caller = await Identity(full).by_token(made.token)
        assert caller.scopes == {"runs:read"}

    asyncio.run(work())
