"""The points of metrics as every process knows them, and the file that carries them (docs/design/live-metrics.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

SUFFIX = ".points"
"""A run's file is `<run id>.points`, beside its sidecar."""

MAX_POINTS = 1_000_000
MAX_NAMES = 1_000
MAX_NAME_CHARS = 500
"""What is kept of one run."""

MAX_STEP = 2**53 - 1
"""The largest whole number that every reader of JSON has exactly (RFC 8259, 6)."""

MAX_AT = 253_402_300_799_999_999
"""The end of the year 9999, in microseconds since 1970."""

MetricValue = float | Literal["nan", "inf", "-inf"]
"""JSON has no numbers for NaN and the infinities."""

Name = Annotated[str, Meta(max_length=MAX_NAME_CHARS)]
Step = Annotated[int, Meta(ge=-MAX_STEP, le=MAX_STEP)]
At = Annotated[int, Meta(ge=0, le=MAX_AT)]

Point = tuple[Name, Step, At, MetricValue]
"""Name, step, microseconds since 1970, value: a line of the file."""

ReportedState = Literal["running", "ended", "lost"]
"""What a committer says of a run: going on, published here and about to be pushed, or gone without being published."""
