"""What is remembered of uploads until their commit, and whose turn it is to write."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dotscience.record import FileRef
from hub_server.domain.problems import Problem
from hub_server.services import deposits as module
from hub_server.services.deposits import MAX_DEPOSITS, MAX_NAMES, Deposit, Deposits
from hub_server.services.dot_locks import DotLocks
from hub_server.services.upload_content import UploadContent

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def content(*paths):
    return UploadContent([(path, None) for path in paths], [])


def outputs(*paths):
    return [FileRef(path=path) for path in paths]


def test_a_refusal_concerns_the_path_and_what_lies_below_it():
    deposit = Deposit()
    deposit.refuse((b"model",), "why", is_archive=True)
    deposit.check(outputs("models/a", "other"))
    for path in ("model", "model/a"):
        with pytest.raises(Problem, match="why"):
            deposit.check(outputs("other", path))


def test_an_archive_that_was_refused_concerns_whatever_is_missing():
    deposit = Deposit()
    deposit.refuse((b"", b"abs"), "why", is_archive=True)
    deposit.check(outputs("a"))
    with pytest.raises(Problem, match="why"):
        deposit.check([FileRef(path="a", missing=True)])
    of_file = Deposit()
    of_file.refuse((b"b",), "why", is_archive=False)
    of_file.check([FileRef(path="a", missing=True)])


def test_a_refusal_is_forgotten(monkeypatch):
    deposit = Deposit()
    for forget in (
        deposit.forget_refusals,
        lambda: deposit.keep((b"a",), content((b"a",)), b"", is_archive=False),
        lambda: monkeypatch.setattr(module, "REFUSAL_REMEMBERED_S", -1),
    ):
        deposit.refuse((b"a",), "why", is_archive=False)
        with pytest.raises(Problem):
            deposit.check(outputs("a"))
        forget()
        deposit.check(outputs("a"))


def test_only_so_many_names_are_remembered():
    deposit = Deposit()
    deposit.keep((b"a",), content(*((b"%d" % number,) for number in range(MAX_NAMES))), b"", is_archive=True)
    deposit.keep((b"b",), content((b"b",)), b"root", is_archive=False)
    assert len(deposit.names) == MAX_NAMES
    assert deposit.root == b"root"


def test_only_so_many_deposits_are_kept_and_none_that_something_arrives_for(monkeypatch):
    async def work():
        deposits = Deposits()
        arriving = deposits.of("dot", "first")
        done = arriving.begin()
        others = [deposits.of("dot", str(number)) for number in range(MAX_DEPOSITS + 10)]
        assert deposits.of("dot", "first") is arriving
        assert deposits.of("dot", str(MAX_DEPOSITS + 9)) is others[-1]
        assert deposits.of("dot", "0") is not others[0]
        deposits.forget("dot", "first")
        assert deposits.of("dot", "first") is arriving
        done.set_result(None)
        await asyncio.sleep(0)
        deposits.forget("dot", "first")
        deposits.forget("dot", "nobody")
        assert deposits.of("dot", "first") is not arriving

    asyncio.run(work())


def test_an_upload_that_takes_too_long_locks_its_own_caller_out(monkeypatch):
    async def work():
        deposit = Deposit()
        done = deposit.begin()
        monkeypatch.setattr(module, "SETTLE_S", 0)
        with pytest.raises(Problem) as caught:
            await deposit.settle()
        assert caught.value.kind == "locked"
        done.set_result(None)
        await asyncio.sleep(0)
        await deposit.settle()

    asyncio.run(work())


# -- locks


def test_turns_are_taken_in_order_and_other_dots_do_not_wait():
    async def work():
        locks, order = DotLocks(lambda: NOW), []

        async def write(name):
            async with locks.hold("dot", name):
                order.append(name)
                await asyncio.sleep(0)

        async with locks.hold("dot", "first"):
            waiting = [asyncio.ensure_future(write(str(number))) for number in range(5)]
            await asyncio.sleep(0)
            async with locks.hold("other", "x"):
                assert order == []
        await asyncio.gather(*waiting)
        assert order == ["0", "1", "2", "3", "4"]
        assert locks._locks == {}

    asyncio.run(work())


def test_who_waits_in_vain_is_told_for_what():
    async def work():
        locks = DotLocks(lambda: NOW, wait_s=0)
        async with locks.hold("dot", "alice's upload of a.txt"):
            with pytest.raises(
                Problem, match=r"locked by alice's upload of a\.txt since 2026-01-02 00:00:00 UTC"
            ) as caught:
                async with locks.hold("dot", "x"):
                    pass
            assert caught.value.extra == {"holder": "alice's upload of a.txt"}
        async with locks.hold("dot", "x"):
            pass

    asyncio.run(work())


def test_a_writer_that_fails_lets_go():
    async def work():
        locks = DotLocks(lambda: NOW, wait_s=0)
        with pytest.raises(ValueError, match="x"):
            async with locks.hold("dot", "x"):
                raise ValueError("x")
        async with locks.hold("dot", "y"):
            pass

    asyncio.run(work())


def test_only_what_was_held_for_long_is_refused_at_once():
    async def work():
        now, wall = 0.0, NOW
        locks = DotLocks(lambda: wall, monotonic=lambda: now)
        locks.check("dot")
        async with locks.hold("dot", "Jupyter"):
            wall += timedelta(days=1)
            locks.check("dot")
            wall -= timedelta(days=2)
            now += 31
            with pytest.raises(Problem, match="locked by Jupyter"):
                locks.check("dot")
        locks.check("dot")

    asyncio.run(work())
