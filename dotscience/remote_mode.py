"""Remote mode ("Dotscience Anywhere"): code outside of any workspace publishes its runs to a hub itself.

Each publish uploads the run's outputs into the project's workspace on the hub and then makes a commit that describes
the run, as the original library did. Nothing is said to be done before the hub has said so.
"""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
import threading
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from msgspec.structs import replace

from dotscience import paths, surroundings
from dotscience.errors import ConfigError
from dotscience.legacy_commit import remote_commit
from dotscience.legacy_hub import LegacyHub, LegacyProject, checked_url
from dotscience.publishing import PublishedRun, build_record
from dotscience.values import clean_text
from dotscience.warning import warn
from dotscience.workspace import STATE_DIR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dotscience.record import RunRecord
    from dotscience.recording import Run

MESSAGE = "Remote dotscience run"


def connect(username: Any, apikey: Any, project: Any, hostname: Any) -> RemoteProject:
    """Check that the hub is there and accepts the credentials.

    Raises:
        ConfigError: the project or the hub's address is missing, or a value cannot be used.
        HubError: the hub refused the credentials (`Unauthenticated`), or does not answer (`HubUnavailable`).
    """
    if not project:
        raise ConfigError("Please specify a project name as the third argument to ds.connect()")
    url = checked_url(str(hostname or surroundings.hub_url()))
    if not username or not apikey:
        raise ConfigError("ds.connect() needs a user name and an API token of the hub as its first two arguments")
    if ":" in str(username):
        raise ConfigError("the user name for ds.connect() must not contain a colon")
    remote = RemoteProject(url, str(username), str(apikey), str(project))
    _say("Checking connection... ")
    with remote.open() as hub:
        hub.ping()
    _say("connected!\n")
    return remote


class RemoteProject:
    """Where the runs go: a project, by name, of one user's on a hub. Safe for threads: they publish one by one."""

    def __init__(self, url: str, username: str, apikey: str, name: str) -> None:
        self.url = url
        self.name = name
        self._credentials = (username, apikey)
        self._project: LegacyProject | None = None
        self._lock = threading.Lock()

    def open(self) -> LegacyHub:
        """A connection to the hub, to be closed by the caller."""
        return LegacyHub(self.url, *self._credentials)

    def publish(self, run: Run) -> PublishedRun:
        """Give the run a new id, upload its outputs, commit it, and make it ready for the next publish.

        Where that fails the run stays as it is, so that it can be published again.

        Raises:
            HubError: the hub refused an upload or the commit, or does not answer; the run is not on the hub.
            OSError: an output cannot be read.
        """
        run.run_id = str(uuid4())
        root = run.root or surroundings.workspace_root()
        record = build_record(run, root=root, mode="remote")
        record = replace(record, authority="remote", place=surroundings.place(root))
        _warn_inputs(record)
        uploads = list(_uploads(run, root))
        with self._lock, self.open() as hub:
            url = self._publish(hub, record, uploads)
        run.forget_publish()
        return PublishedRun(record, url=url)

    def _publish(self, hub: LegacyHub, record: RunRecord, uploads: list[Upload]) -> str:
        _say("\n=== Dotscience remote publish ===\n\n")
        project = self._found_or_created(hub)
        _say("*  Uploading output/model files\n")
        for upload in uploads:
            upload.send(hub, project.dot)
        _say(".\n")
        output_files = sorted(clean_text(file.path) for upload in uploads for file in upload.files)
        hub.commit(project.dot, MESSAGE, remote_commit(record, author=hub.username, output_files=output_files))
        url = f"{self.url}/project/{project.id}/runs/metric/{record.run_id}"
        _say(f" done\n   -> Dotscience run: {url}\n\n=== Dotscience publish complete ===\n\n")
        return url

    def _found_or_created(self, hub: LegacyHub) -> LegacyProject:
        """The project, looked for once; callers hold the lock."""
        if self._project is None:
            self._project = next((project for project in hub.projects() if project.name == self.name), None)
            if self._project is not None:
                _say(f"Found project {self.name}.\n\n")
            else:
                self._project = hub.create_project(self.name)
                _say(f"Created new project {self.name} as it did not exist.\n\n")
        return self._project


# ---------------------------------------------------------------------------------- the uploads


class OutputFile(NamedTuple):
    """A file by its path relative to the root, and where it is."""

    path: str
    source: str


class Upload(NamedTuple):
    """What goes to the hub in one request: one file, or the files of a folder as an archive."""

    folder: str | None
    files: list[OutputFile]

    def send(self, hub: LegacyHub, dot: str) -> None:
        """Upload it, streaming from disk.

        Raises:
            OSError: a file cannot be read.
            HubError: as `LegacyHub.put`.
        """
        if self.folder is None or len(self.files) == 1:
            for file in self.files:
                with open(file.source, "rb") as content:  # noqa: PTH123 - strings throughout, as in paths
                    hub.put(dot, file.path, content)
            return
        with tempfile.TemporaryFile(prefix="dotscience-") as archive:
            _write_archive(archive, self.folder, self.files)
            archive.seek(0)
            hub.put(dot, self.folder, archive, extract=True)


def _uploads(run: Run, root: str) -> Iterator[Upload]:
    """Each output once: a folder that the run named in one archive, other files on their own.

    The original's hubs replace a folder by an archive. So only folders that the run named as outputs are sent as one,
    and never the root, whose other files are not the run's to remove.
    """
    folders = {seen.path for named in run.outputs if (seen := _inside(named, root)) and os.path.isdir(named)}  # noqa: PTH112
    folders -= {"."}
    grouped: dict[str, dict[str, OutputFile]] = {}
    for file in _output_files(run, root):
        above = _folders_above(file.path)
        group = next((folder for folder in above if folder in folders), file.path)
        grouped.setdefault(group, {})[file.path] = file
    for group, files in sorted(grouped.items()):
        in_order = [file for _, file in sorted(files.items())]
        yield Upload(group if group in folders else None, in_order)


def _output_files(run: Run, root: str) -> Iterator[OutputFile]:
    for source in {path for named in run.outputs for path in paths.files_below(named)}:
        seen = _inside(source, root)
        if seen is None:
            warn(f"the output {source} is outside of {root}: it is not uploaded, the run on the hub has no such file")
        elif seen.path == STATE_DIR or seen.path.startswith(STATE_DIR + "/"):
            continue
        elif not os.path.exists(source):  # noqa: PTH110 - strings throughout, as in paths
            warn(f"the output {seen.path} does not exist: the run on the hub has no such file")
        elif not stat.S_ISREG(os.stat(source).st_mode):  # noqa: PTH116
            warn(f"the output {seen.path} is not a regular file: it is not uploaded")
        else:
            yield OutputFile(seen.path, source)


def _inside(path: str, root: str) -> paths.RootedPath | None:
    seen = paths.rooted(path, root)
    return None if seen.outside else seen


def _folders_above(path: str) -> list[str]:
    """The folders that hold the file, outermost first."""
    names = path.split("/")
    return ["/".join(names[:depth]) for depth in range(1, len(names))]


def _write_archive(archive: IO[bytes], folder: str, files: list[OutputFile]) -> None:
    """A tar archive with paths relative to `folder`. Links become the files that they name, owners stay here."""
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for file in files:
            with open(file.source, "rb") as content:  # noqa: PTH123 - strings throughout, as in paths
                status = os.fstat(content.fileno())
                entry = tarfile.TarInfo(file.path.removeprefix(folder + "/"))
                entry.size, entry.mtime, entry.mode = status.st_size, int(status.st_mtime), status.st_mode & 0o755
                tar.addfile(entry, content)


def _warn_inputs(record: RunRecord) -> None:
    if record.inputs:
        warn(
            f"the run's {len(record.inputs)} inputs are not recorded on the hub: in remote mode a run can only name "
            "inputs that a commit of the project's workspace holds; add a label if you need to find them again"
        )


def _say(text: str) -> None:
    """Print at once. A standard output that is closed must not stop a publish."""
    try:
        print(text, end="", flush=True)  # noqa: T201 - the original's messages
    except (OSError, ValueError):
        return
