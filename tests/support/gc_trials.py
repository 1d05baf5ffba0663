"""Garbage collection, to be tried with faults (`support.trials`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import structlog
from sqlalchemy.exc import DatabaseError
from support.hub_parts import HubParts

from dotscience.errors import DotscienceError

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # nothing but trials writes


def collect(folder: str) -> Iterator[str]:
    """Collect garbage in a hub's folder until there is none; says the name of the error where that fails."""
    hub = HubParts(Path(folder))
    yield "ready"
    try:
        hub.collect_all()
    except (DotscienceError, DatabaseError) as error:
        yield type(error).__name__
    finally:
        hub.end()
