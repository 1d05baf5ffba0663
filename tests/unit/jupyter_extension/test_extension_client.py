"""The extension's client of the committer, where a call and its cancellation meet."""

import asyncio
import contextlib

import pytest

from jupyter_extension.client import _answer_lines


@pytest.mark.parametrize("turns", range(6))
async def test_following_ends_when_cancelled_also_while_a_line_arrives(turns):
    reader = asyncio.StreamReader()
    reader.feed_data(b"HTTP/1.0 200 OK\r\n\r\n")

    async def follow():
        async with contextlib.aclosing(_answer_lines(reader)) as lines:
            async for _ in lines:
                pass

    following = asyncio.create_task(follow())
    for _ in range(10):
        await asyncio.sleep(0)
    reader.feed_data(b"{}\n")
    for _ in range(turns):
        await asyncio.sleep(0)
    following.cancel()
    await asyncio.wait([following], timeout=10)
    assert following.cancelled()
    reader.feed_eof()
