"""What the audit log has, on each database."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from alembic import command
from alembic.config import Config
from msgspec.structs import replace
from sqlalchemy import text, update
from support.hub_rows import START, add_project

from hub_server.services import audit as service
from hub_server.store import audit
from hub_server.store.audit import NewEntry
from hub_server.store.migrate import MIGRATIONS, migrate
from hub_server.store.schema import project

REFUSED = NewEntry(
    at=START,
    account_id=None,
    account_name="",
    credential="",
    client="10.0.0.7",
    action="sign_in",
    project=None,
    target="ada",
    status=429,
)


@pytest.fixture
def noted(database):
    """Note entries, and list all of them, oldest first."""

    def work(*entries):
        def write(connection):
            for one in entries:
                audit.note(connection, one)
            return audit.list_entries(connection, None, None, 100).items[::-1]

        return asyncio.run(database.write(write))

    return work


def later(minutes, **change):
    return replace(REFUSED, at=START + timedelta(minutes=minutes), **change)


def test_what_the_throttle_refuses_one_caller_within_an_hour_is_one_entry(noted):
    (entry,) = noted(*(later(minutes) for minutes in range(61)))
    assert (entry.count, entry.at, entry.last_at) == (61, START, START + timedelta(hours=1))
    assert (entry.status, entry.target) == (429, "ada")
    entries = noted(later(61), later(62))
    assert [one.count for one in entries] == [61, 2]
    assert entries[1].at == START + timedelta(minutes=61)


def test_what_differs_is_not_counted_together(noted):
    other = [
        {"client": "10.0.0.8"},
        {"action": "set_password"},
        {"account_id": "a", "account_name": "ada"},
        {"credential": "session:1"},
        {"project": "p1"},
    ]
    entries = noted(REFUSED, *(later(1, **change) for change in other), *(later(2, **change) for change in other))
    assert [one.count for one in entries] == [1, 2, 2, 2, 2, 2]


def test_names_that_are_tried_one_after_the_other_make_one_entry(noted):
    (entry,) = noted(*(later(minute, target=f"name{minute}") for minute in range(5)))
    assert (entry.count, entry.target) == (5, "several")


@pytest.mark.parametrize("status", [200, 401, 403])
def test_other_outcomes_are_an_entry_each(noted, status):
    entries = noted(*(later(minute, status=status) for minute in range(3)), REFUSED)
    assert [(one.count, one.last_at == one.at) for one in entries] == [(1, True)] * 4


def test_failed_sign_ins_are_forgotten_in_their_time_and_nothing_else_is(noted, database, monkeypatch):
    monkeypatch.setattr(service, "FORGOTTEN_AT_ONCE", 2)
    failed = [replace(REFUSED, status=401, target=str(number)) for number in range(5)]
    kept = [
        replace(REFUSED, status=201, target="signed in"),
        replace(REFUSED, status=403, action="put_collaborator", target="other"),
        later(1, status=401, target="later"),
    ]
    noted(*failed, REFUSED, *kept)

    def forget(now):
        return asyncio.run(service.forget_failed_sign_ins(database, now))

    assert forget(START + service.FAILED_SIGN_INS_KEPT) == 0
    assert forget(START + service.FAILED_SIGN_INS_KEPT + timedelta(seconds=1)) == 6
    assert [one.target for one in noted()] == [one.target for one in kept]


def test_names_are_those_that_were_true_then(noted, database):
    asyncio.run(database.write(add_project))
    noted(replace(REFUSED, status=200, project="p1", account_id="a", account_name="ada"))
    asyncio.run(database.write(lambda c: c.execute(update(project).values(name="renamed"))))
    entries = noted(replace(REFUSED, status=200, project="p1"), replace(REFUSED, status=200))
    assert [(one.project_id, one.project_name) for one in entries] == [("p1", "p"), ("p1", "renamed"), (None, None)]
    assert (entries[0].account_id, entries[0].account) == ("a", "ada")


def test_refusals_are_found_by_an_index(database):
    plan = "EXPLAIN " if database.read_blocking(lambda c: c.dialect.name) == "postgresql" else "EXPLAIN QUERY PLAN "

    def work(connection):
        if plan == "EXPLAIN ":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        wanted = "SELECT id FROM audit WHERE status >= 400 AND action = 'sign_in' AND client = 'x' AND at > 1"
        return str(connection.execute(text(plan + wanted)).all())

    assert "ix_audit_refused" in asyncio.run(database.write(work))


def test_entries_of_an_earlier_schema_stand_for_one_request_each(backend):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = backend.writer()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0010")
        names = "at, account_name, credential, client, action, project, target, status"
        connection.execute(text(f"INSERT INTO audit ({names}) VALUES (1, 'ada', '', '', 'x', 'p1', '', 429)"))
    engine.dispose()
    migrate(backend)
    with (reader := backend.reader()).connect() as connection:
        (entry,) = audit.list_entries(connection, None, None, 10).items
    reader.dispose()
    assert (entry.count, entry.last_at, entry.project_id, entry.project_name) == (1, entry.at, "p1", None)
