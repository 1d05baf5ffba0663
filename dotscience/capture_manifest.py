"""What a run's *capture* holds: its outputs as they were when it was published. Pure data.

    .dotscience/captures/<run id>/
      manifest.json     a CaptureManifest
      0, 1, 2, …        contents, named by `CapturedFile.file`

The library writes a capture before the run's sidecar, so whoever finds the sidecar finds the whole capture. The
committer removes it once the run is in a commit.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from dotscience.workspace import STATE_DIR

CAPTURES_DIR = "captures"
MANIFEST_FILE = "manifest.json"
VERSION = 1


class CapturedFile(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An output when the run was published; `path` is that of the record's `FileRef`, `mode` as in stat(2).

    One of these says what it held: `file`, a name in the capture's folder; `content` (hex) and `is_chunked`, an object
    that the committer has stored; `target`, of a symbolic link. None of them where the content was not captured: then
    the rest tells whether the file is still the same.
    """

    path: str
    size: int
    mtime_ns: int
    mode: int
    file: str | None = None
    content: str | None = None
    is_chunked: bool = False
    target: str | None = None

    @property
    def is_held(self) -> bool:
        """Whether the content is known."""
        return self.file is not None or self.content is not None or self.target is not None


class InputSignature(Struct, frozen=True, kw_only=True):
    """An input when it was read; size in bytes, time since the Unix epoch."""

    path: str
    size: int
    mtime_ns: int


class CaptureManifest(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Everything that is known of a run's files. `folders` are outputs that were named as folders."""

    version: int = VERSION
    outputs: list[CapturedFile] = []
    folders: list[str] = []
    inputs: list[InputSignature] = []


def captures_folder(root: Path) -> Path:
    """Where the captures of a workspace's runs are."""
    return root / STATE_DIR / CAPTURES_DIR
