"""Finding markers in text, in linear time, whatever the text holds.

A reader meets progress bars before and after a marker, terminal codes inside it, markers quoted in a run's own
description, blocks that were never closed and, from an attacker, a hundred thousand of them. So the body of a block is

1. the text up to the first closing marker with the same id that leaves a JSON object between, which lets a description
   quote markers, even its own;
2. else the text up to the first closing marker with the same id, repaired (`repairs`).

Attempts that fail can look at the same text again and again. They draw on a budget of a few times the length of the
text; blocks that it can no longer afford are reported as not read.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

MARKER = "DOTSCIENCE-RUN:"
"""In every marker, opening or closing. It has no character that JSON escapes, so it can be looked for in raw bytes."""

MAX_ID_LENGTH = 256
MAX_QUOTED_CLOSINGS = 16
BUDGET_FACTOR = 8

_TOKEN = re.compile(rf"\[\[(/?)DOTSCIENCE-RUN:((?:(?!\[\[|\]\])[^\r\n]){{1,{MAX_ID_LENGTH}}})\]\]")
_ESCAPED = re.compile(r"\{\\")
_TERMINAL_CODE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\))")
_OVERWRITTEN_LINE = re.compile(r"\A\{[^\n]*\n")


class Block(NamedTuple):
    """One block: `text[start:end]` with its markers. `metadata` is None exactly where `error` says why."""

    wire_id: str
    start: int
    end: int
    body: str
    metadata: dict[str, Any] | None
    error: str | None


def scan(text: str) -> list[Block]:
    """All blocks of `text`, in order. Never raises; takes time and memory linear in `len(text)`."""
    return Scanner(text).blocks() if MARKER in text else []


class Scanner:
    """One pass over one text. `spent` counts the characters of all attempts that failed; it never exceeds `budget`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.budget = BUDGET_FACTOR * len(text)
        self.spent = 0
        self._tokens = list(_TOKEN.finditer(text))
        self._closings: dict[str, list[re.Match[str]]] = defaultdict(list)
        for token in self._tokens:
            if token[1]:
                self._closings[token[2]].append(token)

    def blocks(self) -> list[Block]:
        """The blocks in order. Inside a good block nothing else is looked for; inside a broken one it is."""
        blocks = []
        position = 0
        for token in self._tokens:
            if token[1] or token.start() < position:
                continue
            block = self._read(token)
            if block is not None:
                blocks.append(block)
                position = token.end() if block.metadata is None else block.end
        return blocks

    def _read(self, opening: re.Match[str]) -> Block | None:
        closings = self._closings_after(opening)
        if not closings:
            return self._unclosed(opening)
        return self._read_strictly(opening, closings) or self._read_repaired(opening, closings[0])

    def _closings_after(self, opening: re.Match[str]) -> list[re.Match[str]]:
        closings = self._closings.get(opening[2], [])
        first = bisect_left(closings, opening.end(), key=lambda token: token.start())
        return closings[first : first + MAX_QUOTED_CLOSINGS]

    def _unclosed(self, opening: re.Match[str]) -> Block | None:
        """A broken block; or nothing where a program printed the `repr` of the beginning of one, to look at it."""
        if _ESCAPED.match(self.text, opening.end()):
            return None
        return _broken(opening, "the block is not closed")

    def _read_strictly(self, opening: re.Match[str], closings: list[re.Match[str]]) -> Block | None:
        for closing in closings:
            length = closing.start() - opening.end()
            if self.spent + length > self.budget:
                break
            body = self.text[opening.end() : closing.start()]
            try:
                metadata = _DECODER.decode(body)
            except (ValueError, RecursionError):
                self.spent += length
            else:
                return _whole(opening, closing, body, metadata) if isinstance(metadata, dict) else None
        return None

    def _read_repaired(self, opening: re.Match[str], closing: re.Match[str]) -> Block:
        length = closing.start() - opening.end()
        if self.spent + length > self.budget:
            return _broken(opening, "the block is not read: too many markers cross each other here")
        self.spent += length
        body = self.text[opening.end() : closing.start()]
        metadata, error = _decode_repaired(body)
        return Block(opening[2], opening.start(), closing.end(), body, metadata, error)


def repairs(body: str) -> Iterator[str]:
    """What `body` may have been: as it is; without terminal codes and carriage returns; with its first line renewed.

    JupyterLab lets a carriage return overwrite the line, so that the rest of a longer progress bar is left behind the
    `{` of the first line. The original library always broke the line there.
    """
    yield body
    plain = _TERMINAL_CODE.sub("", body).replace("\r", "")
    yield plain
    yield _OVERWRITTEN_LINE.sub("{\n", plain, count=1)


def _decode_repaired(body: str) -> tuple[dict[str, Any] | None, str | None]:
    """The first repair that is a JSON object, or what is wrong with the body as it is."""
    reason = ""
    for candidate in repairs(body):
        try:
            metadata = _DECODER.decode(candidate)
        except ValueError as error:
            reason = reason or f"the body is not JSON: {error}"
        except RecursionError:
            return None, "the body is nested too deeply"
        else:
            if isinstance(metadata, dict):
                return metadata, None
            return None, f"the body is a JSON {type(metadata).__name__}, not an object"
    return None, reason


def _whole(opening: re.Match[str], closing: re.Match[str], body: str, metadata: dict[str, Any]) -> Block:
    return Block(opening[2], opening.start(), closing.end(), body, metadata, None)


def _broken(opening: re.Match[str], error: str) -> Block:
    return Block(opening[2], opening.start(), opening.end(), "", None, error)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
