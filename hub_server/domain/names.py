"""Names that people and committers give, and what is allowed in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from uuid import UUID

from hub_server.domain.problems import invalid

MAX_NAME_CHARS = 200

_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}", re.ASCII)
_BRANCH = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._~-]|/(?=[A-Za-z0-9])){0,199}", re.ASCII)


def clean_name(name: str, pointer: str = "/name") -> str:
    """A project's or token's name: one line of visible text, NFC, without white space around it.

    Raises:
        Problem: invalid, for an empty or too long name and for control characters (they hide what a name really is).
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not cleaned or len(cleaned) > MAX_NAME_CHARS:
        raise invalid(pointer, f"a name has 1 to {MAX_NAME_CHARS} characters")
    if any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in cleaned):
        raise invalid(pointer, "a name holds no control or formatting characters")
    return cleaned


def clean_text(text: str, pointer: str, most: int) -> str:
    """Text of several lines: NFC, with no control characters but line ends and tabs.

    Raises:
        Problem: invalid.
    """
    cleaned = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    if len(cleaned) > most:
        raise invalid(pointer, f"this text has at most {most:,} characters; yours has {len(cleaned):,}")
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in cleaned):
        raise invalid(pointer, "a text holds no control characters but line ends and tabs")
    return cleaned


def check_account_name(name: str) -> str:
    """An account's name: lower-case ASCII letters, digits and `. _ - @ +`, at most 64 characters.

    Raises:
        Problem: invalid; names that look alike are kept out rather than told apart.
    """
    if not _ACCOUNT.fullmatch(name):
        raise invalid(
            "/name", f"{name[:100]!r} is no account name: use up to 64 lower-case letters, digits and . _ - @ +"
        )
    return name


def number_name(name: str, taken: Container[str]) -> str:
    """`name`, or the first of `name-2`, `name-3`, … that is not taken."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        suffix = f"-{number}"
        candidate = name[: MAX_NAME_CHARS - len(suffix)] + suffix
    return candidate


def check_branch(branch: str) -> str:
    """A branch's name: ASCII letters, digits and `. _ ~ - /`, at most 200 characters.

    Raises:
        Problem: invalid.
    """
    if not _BRANCH.fullmatch(branch) or ".." in branch:
        raise invalid("/branch", f"{branch[:100]!r} is no branch name: use letters, digits and . _ ~ - /")
    return branch


def check_uuid(text: str, pointer: str) -> str:
    """The canonical form of a UUID.

    Raises:
        Problem: invalid.
    """
    try:
        parsed = UUID(text)
    except ValueError:
        raise invalid(pointer, f"{text[:60]!r} is no UUID") from None
    return str(parsed)
