"""What the API answers, field by field (docs/design/interfaces.md §4)."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import Meta, Raw, Struct

from dotscience.record import UtcTime
from hub_server.domain.scopes import ProjectRole, Role

T = TypeVar("T")

StoredRecord = Annotated[Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/RunRecord"})]
"""A run record's stored JSON; it goes to the client byte for byte."""
StoredEnvironment = Annotated[
    Raw, Meta(extra_json_schema={"anyOf": [{"$ref": "#/components/schemas/Environment"}, {"type": "null"}]})
]
NULL = Raw(b"null")


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list. `next` is the cursor of the part that follows, None at the end.

    `total` counts the whole list; where `total_is_exact` is false there are more than the hub cared to count.
    """

    items: list[T]
    next: str | None
    total: int
    total_is_exact: bool


class AccountInfo(Struct, frozen=True):
    """A person."""

    id: str
    name: str


class Person(Struct, frozen=True, kw_only=True):
    """An account as administrators see it; without a password a login link signs it in."""

    id: str
    name: str
    role: Role
    created_at: UtcTime
    has_password: bool


class NewPerson(Struct, frozen=True, kw_only=True):
    """An account as it is made: `link` signs its owner in once, to choose a password."""

    person: Person
    link: LoginCodeInfo


class Collaborator(Struct, frozen=True, kw_only=True):
    """Somebody who works on a project."""

    id: str
    name: str
    role: ProjectRole
    added_at: UtcTime


class BrowserSession(Struct, frozen=True, kw_only=True):
    """A browser that is signed in as the caller; `is_current` where it is the one that asks."""

    id: str
    created_at: UtcTime
    last_used_at: UtcTime
    expires_at: UtcTime
    is_current: bool


class AuditEntry(Struct, frozen=True, kw_only=True):
    """Who did what: `action` is an operation of the API, `target` what it was about, `status` its outcome in HTTP.

    `client` is the address that the request came from, `credential` the token or session that it showed. `account` and
    `project_name` are the names as they were; the latter is None where there is no project, and in entries of hubs that
    did not note it. What was refused by a limit (429) is one entry for all requests of a caller for an action within an
    hour: `count` says how many, from `at` to `last_at`, and `target` is "several" where it was not one.
    """

    at: UtcTime
    last_at: UtcTime
    count: int
    account_id: str | None
    account: str
    credential: str
    client: str
    action: str
    project_id: str | None
    project_name: str | None
    target: str
    status: int


class SessionInfo(Struct, frozen=True, kw_only=True):
    """Who the caller is, what they may do, and how they get in.

    An account without a password needs a new login link when its sessions end. The operator can make one by a command
    on the hub's machine; others have to ask. `by_login_link` is about the browser's session, and false for a token.
    """

    account: AccountInfo
    scopes: list[str]
    project_id: str | None
    is_admin: bool
    has_password: bool
    by_login_link: bool
    is_operator: bool


class SignedIn(Struct, frozen=True):
    """The answer to a login code; the session itself is in the cookie."""

    account: AccountInfo


class LoginCodeInfo(Struct, frozen=True, kw_only=True):
    """A code that signs one browser in, once; `url` is the login page with the code in its fragment."""

    code: str
    url: str
    expires_at: UtcTime


class TokenInfo(Struct, frozen=True, kw_only=True):
    """A token as it is listed: without its secret."""

    id: str
    name: str
    scopes: list[str]
    project_id: str | None
    created_at: UtcTime
    expires_at: UtcTime | None
    last_used_at: UtcTime | None


class NewToken(Struct, frozen=True, kw_only=True):
    """A token as it is made; `token` is shown this once."""

    id: str
    token: str
    scopes: list[str]
    project_id: str | None
    expires_at: UtcTime | None


class ProjectInfo(Struct, frozen=True, kw_only=True):
    """A project; `head` is the newest commit of its workspace's branch `main`.

    `role` is what the caller is in it, None where they only see it because it is public.
    """

    id: str
    name: str
    dot_id: str | None
    created_at: UtcTime
    runs: int
    last_run_at: UtcTime | None
    head: str | None
    is_public: bool
    role: ProjectRole | None


class RunInfo(Struct, frozen=True, kw_only=True):
    """A run; `seq` numbers the runs of a project in the order in which the hub took them in.

    `record` is what happened and never changes. `name`, `notes` and `tags` are what people say about it; `version`
    counts their changes. `deleted_at` is when the run was moved to the trash.
    """

    id: str
    project_id: str
    seq: int
    commit: str
    ingested_at: UtcTime
    warnings: list[str]
    record: StoredRecord
    name: str = ""
    notes: str = ""
    tags: list[str] = []
    version: int = 0
    comments: int = 0
    deleted_at: UtcTime | None = None


class RunDetail(RunInfo, frozen=True, kw_only=True):
    """A run with the environment that it ran in."""

    environment: StoredEnvironment


class ComparedValue(Struct, frozen=True, kw_only=True):
    """What each of the compared runs has under a name, in their order; null where it has nothing."""

    name: str
    values: list[Any]
    differs: bool


class ComparedFile(Struct, frozen=True, kw_only=True):
    """The content of a file in each of the compared runs; null where the run has no such file, or no hash of it."""

    direction: Literal["input", "output"]
    path: str
    content_hashes: list[str | None]
    differs: bool


class Comparison(Struct, frozen=True, kw_only=True):
    """Runs side by side. What differs comes first, then by name."""

    runs: list[RunInfo]
    parameters: list[ComparedValue]
    summary: list[ComparedValue]
    labels: list[ComparedValue]
    files: list[ComparedFile]


class Comment(Struct, frozen=True, kw_only=True):
    """What somebody has written below a run, as plain text."""

    id: int
    author: str
    text: str
    created_at: UtcTime
    edited_at: UtcTime | None


class Columns(Struct, frozen=True, kw_only=True):
    """The names that runs of a project use, sorted."""

    parameters: list[str]
    summary: list[str]
    labels: list[str]
    tags: list[str]


class TraceRun(Struct, frozen=True, kw_only=True):
    """A run in a trace; `title` is its description, else the file that ran."""

    id: str
    project_id: str
    number: int
    commit: str
    status: str
    started_at: UtcTime
    title: str | None


class TraceEdge(Struct, frozen=True, kw_only=True):
    """The run `reader` read at `path` what the run `maker` had written at `made_as`."""

    maker: str
    reader: str
    path: str
    made_as: str
    content_hash: str


class UnclaimedInput(Struct, frozen=True, kw_only=True):
    """A file that a run read and that no run wrote; without a hash the snapshot has no such file."""

    run: str
    path: str
    content_hash: str | None


class Trace(Struct, frozen=True, kw_only=True):
    """Runs that lead to a run, or follow from it, nearest first; `more` are those that were not gone into any further.

    `unclaimed` is where files come from nowhere; it is empty downstream.
    """

    runs: list[TraceRun]
    edges: list[TraceEdge]
    unclaimed: list[UnclaimedInput]
    more: list[str]


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A name under which runs have published models; `updated_at` is when the last version came."""

    name: str
    versions: int
    updated_at: UtcTime


class ModelVersion(Struct, frozen=True, kw_only=True):
    """What one run published under a model's name.

    Numbers begin at 1. `type` is that of the model ("sklearn-model"), `framework_version` that of what made it; `files`
    maps roles to paths in the run's commit. `overwritten` are those of the paths where the commit has what a later run
    wrote, there or anywhere below: what this version was is not known any more.
    """

    model: str
    number: int
    type: str
    framework_version: str | None
    files: dict[str, str]
    overwritten: list[str]
    run_id: str
    commit: str
    ingested_at: UtcTime


class PushedBy(Struct, frozen=True, kw_only=True):
    """Who brought a commit to the hub: the account, and which of its tokens or sessions, as in the audit log."""

    account: str
    credential: str


class CommitInfo(Struct, frozen=True, kw_only=True):
    """A commit; `branch` is the one that it was pushed to first, `runs` the ids of the runs that it holds.

    `author` is what the committer says of itself; `pushed_by` is what the hub knows, None for commits that it took in
    before it noted that.
    """

    id: str
    parents: list[str]
    branch: str
    created_at: UtcTime
    message: str
    author: str
    client: str
    consistency: str
    unstable: list[str]
    files: int
    size: int
    new_bytes: int
    runs: list[str]
    pushed_by: PushedBy | None = None


StoredCommit = Annotated[Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/CommitInfo"})]


class TreeItem(Struct, frozen=True, kw_only=True):
    """An entry of a folder; `target` is where a symbolic link points.

    `modified_at` is None for folders, whose time is no part of a snapshot, and for times that no calendar has.

    A name that is not UTF-8 is shown with U+FFFD; `quoted_name` then has its bytes percent-encoded, as paths in queries
    take them.
    """

    name: str
    kind: Literal["file", "directory", "symlink"]
    size: int
    mode: int
    modified_at: UtcTime | None
    content_hash: str | None
    quoted_name: str | None = None
    target: str | None = None


class FileChange(Struct, frozen=True, kw_only=True):
    """A path that differs between two commits; `only_mode`: its content is the same, its mode or time is not.

    Sizes are those of files, in bytes. A name that is not UTF-8 is shown with U+FFFD, as in `TreeItem`.
    """

    path: str
    change: Literal["added", "removed", "changed"]
    kind: Literal["file", "directory", "symlink"]
    only_mode: bool
    size_before: int | None
    size_after: int | None
    quoted_path: str | None = None


class CommitDiff(Struct, frozen=True, kw_only=True):
    """What differs between two commits, sorted by path; without `before` everything is new.

    Where `is_whole` is false there are more changes than the hub cared to look for.
    """

    before: str | None
    after: str
    changes: list[FileChange]
    is_whole: bool


class NotebookCell(Struct, frozen=True, kw_only=True):
    """A cell of a notebook that differs; `before` and `after` are its positions, from 0.

    `lines` is a unified diff of its source without headers, `outputs` says whether its outputs differ.
    """

    kind: Literal["added", "removed", "changed"]
    cell_type: str
    before: int | None
    after: int | None
    lines: list[str]
    outputs: bool


class FileDiff(Struct, frozen=True, kw_only=True):
    """How one file differs: the `lines` of a unified diff without headers, or the `cells` of a notebook.

    `binary` files, and those that are `too-large` or take too long to compare, are only known to differ.
    """

    path: str
    kind: Literal["text", "notebook", "binary", "too-large", "same"]
    lines: list[str] = []
    cells: list[NotebookCell] = []


class TreeListing(Struct, frozen=True, kw_only=True):
    """A folder of a commit, sorted by name: at most its first 10,000 entries of `total`."""

    path: str
    entries: list[TreeItem]
    total: int


class DotInfo(Struct, frozen=True, kw_only=True):
    """What the hub knows of a dot: the head of each branch."""

    dot_id: str
    project_id: str
    gc_epoch: str
    branches: dict[str, str]


class DamagedObjects(Struct, frozen=True):
    """The hashes of the first 1,000 objects of a project that the hub found damaged; packs with them are welcome."""

    objects: list[str]


class ZfsInfo(Struct, frozen=True, kw_only=True):
    """What the hub has of a dot as ZFS datasets.

    `latest_guid` is the latest snapshot of the dot itself, `guids` are all of it and of its forks, newest first within
    each; `resume_token` says where a stream that broke off goes on.
    """

    latest_guid: str | None
    guids: list[str]
    resume_token: str | None


class PackAccepted(Struct, frozen=True, kw_only=True):
    """A pack that is durable and whose objects can be referred to."""

    pack: str
    objects: int


class RefusedRun(Struct, frozen=True, kw_only=True):
    """A run that the hub does not take, ever, and why. Its commit is taken without it."""

    run_id: str
    reason: str


class CommitAccepted(Struct, frozen=True, kw_only=True):
    """A commit that is on the hub, with the number of its runs there; `refused` are those that are not."""

    commit: str
    branch: str
    runs: int
    refused: list[RefusedRun] = []


class Failed(Struct, frozen=True, kw_only=True):
    """A project that could not be looked after as a whole; `detail` says what was left, and why."""

    project_id: str
    detail: str


class Collected(Struct, frozen=True, kw_only=True):
    """What garbage collection found and did; sizes in bytes.

    `kept` objects are needed by commits. `unused` ones are not, but not for long enough; `deleted` are those that are
    gone, or would be if it were not a `dry_run`. `packs_deleted` files freed `freed` bytes, and `repacked` files were
    written anew without what is unused in them.
    """

    dry_run: bool
    projects: int = 0
    kept: int = 0
    unused: int = 0
    unused_size: int = 0
    deleted: int = 0
    deleted_size: int = 0
    repacked: int = 0
    packs_deleted: int = 0
    freed: int = 0
    failed: list[Failed] = []


class DamagedPack(Struct, frozen=True, kw_only=True):
    """A damaged pack, the ids of the projects that have objects in it, and how many objects those are."""

    pack: str
    projects: list[str]
    objects: int


class Scrubbed(Struct, frozen=True, kw_only=True):
    """How much was read, in packs and bytes, and what of it is damaged."""

    packs: int
    size: int
    damaged: list[DamagedPack]


class Upkeep(Struct, Generic[T], frozen=True, kw_only=True):
    """The last or present time that the hub looked after its storage in one way.

    While it is `running`, `done` of `total` say how far it is; afterwards there is a `result`, or an `error` that says
    why there is none.
    """

    running: bool = False
    started_at: UtcTime | None = None
    finished_at: UtcTime | None = None
    done: int = 0
    total: int = 0
    result: T | None = None
    error: str | None = None


class UpkeepState(Struct, frozen=True, kw_only=True):
    """How the hub looks after its storage: garbage collection by projects, scrubbing by bytes."""

    gc: Upkeep[Collected]
    scrub: Upkeep[Scrubbed]


class Health(Struct, frozen=True):
    """The hub answers."""

    status: Literal["ok"] = "ok"


class Version(Struct, frozen=True):
    """The hub's version, and that of its API."""

    version: str
    api: int = 1
