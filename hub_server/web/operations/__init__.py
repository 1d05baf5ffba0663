"""The operations of the API, one module per subject."""

from hub_server.web.operation import Operation, collect
from hub_server.web.operations import (
    archives,
    collaborators,
    commits,
    diffs,
    identity,
    live,
    metrics,
    models,
    objects,
    people,
    projects,
    run_edits,
    runs,
    sync,
    system,
    upkeep,
    zfs,
)

ALL: list[Operation] = collect(
    [
        system,
        identity,
        people,
        projects,
        collaborators,
        runs,
        run_edits,
        metrics,
        models,
        commits,
        archives,
        diffs,
        sync,
        objects,
        zfs,
        live,
        upkeep,
    ]
)
"""Every operation, checked when this module is imported: a hub with an incomplete declaration does not start."""
