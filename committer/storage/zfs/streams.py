"""Sending a dataset's snapshots as streams, and the commands that receive them."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, NamedTuple

from committer.storage.zfs.command import environment, failure, run
from dotscience.errors import NotSupported, ResumeTokenInvalid, ZfsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

PIECE = 2**20

_FIELD = re.compile(r"^\s*(toguid|fromguid|toname) = (.+)$", re.MULTILINE)


class Token(NamedTuple):
    """What the token of a receive that broke off says about the stream; the guids are those of snapshots."""

    text: str
    to_guid: int
    to_name: str
    """The sender's snapshot, `pool/…@name`: whoever goes on with a token makes sure that it is theirs to send."""
    from_guid: int | None


def read_token(text: str) -> Token:
    """What a token says, if this machine can go on with it.

    Raises:
        ResumeTokenInvalid: it is damaged, or the snapshots are not here any more.
    """
    if not re.fullmatch(r"[0-9a-f-]+", text):
        raise ResumeTokenInvalid(f"{text[:40]!r} is no resume token")
    try:
        return parse_token(text, run("zfs", "send", "-n", "-v", "-t", text))
    except ZfsError as error:
        raise ResumeTokenInvalid(str(error)) from error


def parse_token(text: str, printed: str) -> Token:
    """The token `text` from what `zfs send -n -v -t` printed about it.

    Raises:
        ResumeTokenInvalid: that does not say what it stands for.
    """
    found = dict(_FIELD.findall(printed))
    try:
        from_guid = int(found["fromguid"], 0) if "fromguid" in found else None
        return Token(text, int(found["toguid"], 0), found["toname"].strip(), from_guid)
    except (KeyError, ValueError) as error:
        raise ResumeTokenInvalid(f"a resume token does not say what it stands for: {printed[:200]!r}") from error


def send_arguments(dataset: str, snapshot: str, base: str | None) -> tuple[str, ...]:
    """The command that sends a snapshot (`@name`): all of it, or what came after `base` (`@name` or `#name`)."""
    return ("zfs", "send", *(("-i", base) if base else ()), f"{dataset}{snapshot}")


def resume_arguments(token: str) -> tuple[str, ...]:
    """The command that sends the rest of a stream."""
    return ("zfs", "send", "-t", token)


def receive_arguments(target: str, *, resumable: bool, origin: str | None = None) -> tuple[str, ...]:
    """The command that receives into `target` (`pool/…@name`), and never rolls anything back.

    What is received is not mounted and cannot be written to, whatever the stream's properties say; pools that cannot
    go on with a broken stream (`resumable`) have no options for that, and rely on what is inherited.

    Args:
        target: The snapshot to be, of a dataset that has the stream's base as its latest snapshot or is not there.
        resumable: Whether to keep what arrived when the stream breaks off.
        origin: The snapshot of which the new dataset becomes a clone; the stream begins there.
    """
    clone = ("-o", f"origin={origin}") if origin else ()
    safe = ("-s", "-u", "-x", "mountpoint", "-o", "canmount=off", "-o", "readonly=on") if resumable else ()
    return ("zfs", "receive", *safe, *clone, target)


def estimate(arguments: tuple[str, ...]) -> int | None:
    """How many bytes a send command will print, roughly; None where ZFS does not say."""
    try:
        printed = run(*arguments[:2], "-n", "-P", *arguments[2:])
    except NotSupported:
        return None
    found = re.search(r"^size\t(\d+)$", printed, re.MULTILINE)
    return int(found[1]) if found else None


@contextmanager
def sending(arguments: tuple[str, ...]) -> Iterator[Iterator[bytes]]:
    """Run a send command; gives the stream in pieces of at most a mebibyte, as they are asked for.

    Leaving before the end stops the command. The end of the pieces is the end of a whole stream: one that broke off
    raises instead.

    Raises:
        ZfsError: while reading, the command failed.
    """
    with (
        TemporaryFile() as complaint,
        subprocess.Popen(
            arguments, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaint
        ) as process,
    ):
        try:
            yield _pieces(process, arguments, complaint)
        finally:
            process.terminate()


def _pieces(process: subprocess.Popen[bytes], arguments: tuple[str, ...], complaint: IO[bytes]) -> Iterator[bytes]:
    while process.stdout is not None and (piece := process.stdout.read(PIECE)):
        yield piece
    if process.wait():
        complaint.seek(0)
        raise failure(arguments, process.returncode, complaint.read())
