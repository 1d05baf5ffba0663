"""What a snapshot leaves out: what `.dotscienceignore` says, and a few things that nothing can bring in.

The file has gitignore's syntax (gitignore(5)) and is read at the root only. Where it is missing, `DEFAULT_IGNORE`
applies, so that deleting it does not publish a private key; an empty file leaves nothing out but the things that
nothing brings in: Dotscience's own state and credentials, the files through which Jupyter lets others into its
kernels, the state that Jupyter's tools keep beside notebooks (jupyter-collaboration's holds text that was typed and
deleted), and (found during the walk) folders that are tracked on their own.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

from committer.storage.codec import digest
from dotscience.errors import ConfigError
from dotscience.workspace import STATE_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

IGNORE_FILE = ".dotscienceignore"
MAX_IGNORE_SIZE = 2**20

DEFAULT_IGNORE = """\
# What Dotscience leaves out of snapshots, in the syntax of .gitignore. Edit it as you like.

# Keys, passwords and tokens
.ssh
.aws
.gnupg
.netrc
**/.config/gcloud
.kube
.docker
.env
.env.*
*.pem
*.key
.bash_history

# What can be made again
.git
.venv
venv
node_modules
__pycache__
.ipynb_checkpoints
.cache
.local

# Files that Jupyter and editors are in the middle of writing
.~*
"""

_DIRECTORY_MARK = "ps_d"
_STATE_DIR = os.fsencode(STATE_DIR)

_NEVER_NAMES = re.compile(
    rb"""\A(?:
        jpserver-\d+(?:-open)?\.(?:json|html)      # a server's address and token
        | nbserver-\d+(?:-open)?\.(?:json|html)
        | jupyter_cookie_secret | notebook_cookie_secret | nbsignatures\.db
        | kernel-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json   # a kernel's ports and signing key
    )\Z""",
    re.VERBOSE | re.IGNORECASE,
)

_NEVER_ENDINGS = (b".json", b".html", b"_secret", b".db")
"""How the names of `_NEVER_NAMES` end, in lower case."""

_YSTORE = b".jupyter_ystore.db"
"""jupyter-collaboration's database of every update ever made; SQLite keeps more files of this name beside it."""

_TOOL_FOLDERS = frozenset({b".jupyter", b".jupyter_cache"})

_NEVER_FOLDERS = re.compile(
    rb"""(?:\A|/)(?:
        jupyter/runtime | \.jupyter/runtime | Jupyter/runtime
        | \.config/dotscience | \.local/share/dotscience | Library/Application\ Support/dotscience
    )\Z""",
    re.VERBOSE,
)


class IgnoreRules:
    """Says which paths below a root are left out. Immutable, and safe to use from many threads.

    Paths are raw bytes, relative to the root, `/`-separated.
    """

    def __init__(self, text: str = DEFAULT_IGNORE, *, protected: Iterable[bytes] = ()) -> None:
        """Rules from the lines of an ignore file; `protected` are more paths that nothing brings in.

        Raises:
            ConfigError: a line is not a pattern.
        """
        self._protected = frozenset(protected)
        try:
            self._patterns = GitIgnoreSpec.from_lines(text.splitlines())
        except GitIgnorePatternError as error:
            raise ConfigError(f"{IGNORE_FILE}: {error}; correct or remove that line") from error
        self._may_exclude = _any_of(self._patterns)
        self.digest = digest(b"\0".join([b"2", text.encode("utf-8", "surrogatepass"), *sorted(self._protected)]))
        """Equal for equal rules."""

    def excludes(self, path: bytes) -> bool:
        """Whether a file at `path` stays out of snapshots, be it for its own sake or for a folder above it."""
        names = path.split(b"/")
        folders = (b"/".join(names[:count]) for count in range(1, len(names)))
        return any(self.excludes_entry(one, directory=True) for one in folders) or self.excludes_entry(
            path, directory=False
        )

    def excludes_entry(self, path: bytes, *, directory: bool) -> bool:
        """Whether what is at `path` itself stays out; the folders above it must have been asked about before.

        As in git, a pattern cannot bring back a file in a folder that is left out.
        """
        if self._never(path, directory=directory):
            return True
        # The matcher's regular expressions let a line feed end a path; a NUL stands for it, as no name can hold one.
        text = os.fsdecode(path if b"\n" not in path else path.replace(b"\n", b"\0"))
        if directory:
            text += "/"
        return self._may_exclude(text) and bool(self._patterns.check_file(text).include)

    def _never(self, path: bytes, *, directory: bool) -> bool:
        name = path.rpartition(b"/")[2]
        if name == _STATE_DIR or path in self._protected or name.startswith(_YSTORE):
            return True
        if name.lower().endswith(_NEVER_ENDINGS) and _NEVER_NAMES.match(name):  # nearly all names are spared the search
            return True
        return directory and (name in _TOOL_FOLDERS or _NEVER_FOLDERS.search(path) is not None)


def _any_of(patterns: GitIgnoreSpec) -> Callable[[str], bool]:
    """Whether one of the patterns that leave something out matches, asked of all of them at once.

    For nearly every path none does, and finding that out one by one is what a first snapshot would spend its time on.
    """
    expressions = [pattern.regex for pattern in patterns.patterns if pattern.include and pattern.regex]
    joined = [_without_mark(one) for one in expressions]
    if not all(joined):
        return lambda path: any(one.search(path) for one in expressions)
    search = re.compile("|".join(f"(?:{one})" for one in joined) or r"(?!)").search
    return lambda path: search(path) is not None


def _without_mark(expression: re.Pattern[str]) -> str | None:
    """An expression that can stand beside others: without the name of the group by which pathspec knows folders.

    None where that cannot be said for sure.
    """
    parts = expression.pattern.split(f"(?P<{_DIRECTORY_MARK}>")
    is_plain = expression.groups == 0 and len(parts) == 1
    is_marked = expression.groupindex.keys() == {_DIRECTORY_MARK} and expression.groups == 1 and len(parts) == 2
    return "(?:".join(parts) if is_plain or is_marked else None


def load_ignore(root: Path, *, protected: Iterable[Path] = ()) -> IgnoreRules:
    """The rules of a tracked folder; those of `protected` that are below `root` are left out whatever the file says.

    Pass the user's folder of credentials, and the state folder when it is not the default one.

    Raises:
        ConfigError: the ignore file cannot be used.
    """
    below = [os.fsencode(path.relative_to(root)) for path in protected if path.is_relative_to(root)]
    text = _read_ignore(root / IGNORE_FILE)
    return IgnoreRules(DEFAULT_IGNORE if text is None else text, protected=below)


def _read_ignore(path: Path) -> str | None:
    """The file's text, None when there is no file. Never a link's or a FIFO's: those could lead out, or block."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else str(error.strerror)
        raise ConfigError(f"{path} cannot be read: {reason}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_IGNORE_SIZE:
            raise ConfigError(f"{path} is not a text file of at most {MAX_IGNORE_SIZE} bytes")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_IGNORE_SIZE).decode("utf-8", "surrogateescape")
    finally:
        os.close(descriptor)
