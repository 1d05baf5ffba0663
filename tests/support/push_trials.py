"""Both ends of a push, to be tried with faults (`support.trials`)."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import structlog
from support.histories import push_all

from committer.sync.transfer import Target
from dotscience.errors import DotscienceError
from hub_server import app
from hub_server.settings import HubSettings

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # nothing but trials writes


def push(store: str, url: str, project_id: str, token: str, dot_id: str) -> Iterator[str]:
    """Push a store's history once; says the name of the error where that fails."""
    yield "ready"
    target = Target(url=url, project_id=project_id, token=token, dot_id=dot_id, host="box")
    try:
        push_all(Path(store), target)
    except DotscienceError as error:
        yield type(error).__name__


def hub(data: str) -> Iterator[str]:
    """Run a hub until SIGTERM; says its address."""
    loop = asyncio.new_event_loop()
    running = loop.run_until_complete(app.start(HubSettings(data=Path(data), port=0)))
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    yield running.url
    loop.run_forever()
    loop.run_until_complete(running.stop())
