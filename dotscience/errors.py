"""Every error that Dotscience raises on purpose.

::

    DotscienceError
      ConfigError                 a setting, flag or file of ours is wrong
      WireFormatError             a marker, sidecar or notebook cannot be read
        NotebookError             a file is no notebook, or only half of one
      WorkspaceError              a folder cannot be tracked as asked
        NotAWorkspace             no `.dotscience/project.toml` here or above
        RootIsTaken               another process is the workspace's committer
        CommitterStopping         it ends, and takes nothing up any more
      SnapshotError               a snapshot or its store failed; `.permanent` says whether a retry can help
        CorruptObject             bytes do not match the hash that names them
        MissingObject             a hash that should be here is not
          EvictedObject           it made room here; the hub has it
        NoSuchPath                a snapshot has nothing at this path, or nothing of the kind asked for
        NoSuchCommit              no commit or run is called that, or several are
        CheckoutRefused           a target or a tree that must not be written
        DiskFull                  too little free space to go on safely
        StorageUnavailable        a store or a hub's bucket cannot be read or written now; nothing is wrong with it
        NewerStore                a newer version of this program wrote the store
        ZfsError                  a `zfs` command failed
          DatasetMissing, DatasetExists, DatasetBusy, PoolFull, PoolSuspended
          DelegationMissing       this user may not do that to this dataset
          ResumeTokenInvalid      an interrupted stream cannot be continued
          NotSupported            this ZFS has no such feature
      CommitterUnavailable        no committer answers for this workspace
      NotConnected                remote mode without `ds.connect()`
      HubError                    the hub refused; carries the problem document
        Unauthenticated, Forbidden, NotFound, Conflict, PreconditionFailed, TooLarge, Invalid, Locked, RateLimited
        NotOffered                no hub of this version does that
        HubUnavailable            no answer, or one that is not the hub's
        HubFull                   it has no room for what is pushed

Messages say what happened, with which value, and what to do.
"""

from __future__ import annotations

from typing import Any


class DotscienceError(Exception):
    """Base of all errors raised on purpose; its text can be shown to a user as it is."""


class ConfigError(DotscienceError):
    """A setting, flag or configuration file is wrong."""


class WireFormatError(DotscienceError):
    """A marker, sidecar or notebook does not have the form that it should."""


class NotebookError(WireFormatError):
    """The bytes are not a notebook: no JSON (half written, perhaps), or JSON without cells."""


class TooDifferent(DotscienceError):
    """Saying how two contents differ would take longer than anybody should wait; that they do is certain."""


class WorkspaceError(DotscienceError):
    """A folder cannot be tracked as asked."""


class NotAWorkspace(WorkspaceError):
    """Neither the folder nor any folder above it has been initialised."""


class RootIsTaken(WorkspaceError):
    """Another process is the root's committer."""


class CommitterStopping(WorkspaceError):
    """The committer ends, and did not do what was asked; whoever asks again is served by the next one."""


class SnapshotError(DotscienceError):
    """A snapshot could not be taken or its store could not be read; `permanent` errors are not worth retrying."""

    permanent = False


class PathTaken(SnapshotError):
    """Something of another kind is at a path, or on the way to it."""


class FolderRefused(SnapshotError):
    """A folder cannot be stored: for a name that no file can have, or for the number of its names."""


class CorruptObject(SnapshotError):
    """Stored bytes do not match the hash that names them."""

    permanent = True


class MissingObject(SnapshotError):
    """An object that something refers to is not in the store."""

    permanent = True


class EvictedObject(MissingObject):
    """The content was pushed, and its pack was dropped to make room here; the hub has it."""


class NoSuchPath(SnapshotError):
    """The snapshot has nothing of the kind asked for at this path."""

    permanent = True


class NoSuchCommit(SnapshotError):
    """No commit or run has this name here, or several have."""

    permanent = True


class CheckoutRefused(SnapshotError):
    """Writing a snapshot there could destroy something, or would not fit."""

    permanent = True


class DiskFull(SnapshotError):
    """Less free space is left than a snapshot needs to be safe."""


class StorageUnavailable(SnapshotError):
    """The place where packs are kept does not answer, or does not let us in; that says nothing about the packs."""


class NewerStore(SnapshotError):
    """The store or its journal was written by a newer version of this program; nothing in it was touched."""

    permanent = True


class ZfsError(SnapshotError):
    """A `zfs` command failed; the text holds what it said."""


class DatasetMissing(ZfsError):
    """There is no such dataset, snapshot or bookmark."""

    permanent = True


class DatasetExists(ZfsError):
    """There is a dataset, snapshot or bookmark of this name already."""

    permanent = True


class DatasetBusy(ZfsError):
    """Something holds the dataset: a mount that is used, a clone, a hold or another command."""


class PoolFull(DiskFull, ZfsError):
    """The pool has no room left, or a quota is reached."""


class PoolSuspended(ZfsError):
    """The pool has lost its disks and waits for them."""


class DelegationMissing(ZfsError):
    """This user may not do that to this dataset."""

    permanent = True


class ResumeTokenInvalid(ZfsError):
    """The token of an interrupted stream is damaged, or what it stands for is not there any more."""

    permanent = True


class NotSupported(ZfsError):
    """This version of ZFS, or this pool, has no such feature."""

    permanent = True


class CommitterUnavailable(DotscienceError):
    """No committer answers for this workspace."""


class NotConnected(DotscienceError):
    """A run was to be published in remote mode, but no hub is connected."""


class HubError(DotscienceError):
    """The hub answered with a problem document (RFC 9457), kept in `problem`."""

    def __init__(self, message: str, *, problem: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.problem = problem or {}


class HubUnavailable(HubError):
    """The hub did not answer, or something other than the hub did; a retry may help."""


class HubFull(HubError):
    """The hub has no room for what is pushed; a retry helps once its operator has made some."""


class Unauthenticated(HubError):
    """401: the token or session is missing, wrong or expired."""


class Forbidden(HubError):
    """403: known, but not allowed to do this."""


class NotFound(HubError):
    """404: it does not exist, or this caller may not see it."""


class Conflict(HubError):
    """409: the resource is not in the state that the request expects."""


class PreconditionFailed(HubError):
    """412: the resource changed since it was read."""


class TooLarge(HubError):
    """413: the request body is larger than the hub accepts."""


class Invalid(HubError):
    """400, 415 or 422: the request is malformed or its values are not acceptable."""


class Locked(HubError):
    """423: somebody else holds the lock of what is to be changed."""


class NotOffered(HubError):
    """No hub of this version does what was asked for; it was not asked."""


class RateLimited(HubError):
    """429: too many requests; try again after `retry_after_s` seconds."""

    retry_after_s: float = 1.0


HUB_ERRORS: dict[int, type[HubError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: TooLarge,
    415: Invalid,
    422: Invalid,
    423: Locked,
    429: RateLimited,
}
"""The exception for each status of a problem document; any other status is a plain `HubError`."""
