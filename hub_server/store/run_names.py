"""The names of values that a list of runs is sorted and filtered by, as the database knows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct
from sqlalchemy import Connection, and_, bindparam, select

from hub_server.domain.filters import And, Filter, Not, Or
from hub_server.domain.values import index_name
from hub_server.store.schema import project, run_key

KINDS = ("param", "summary", "label")
"""The kinds of values that have names of their own."""

Key = tuple[str, str]
"""Kind (param, summary, label or tag) and name of a value."""


class KeyRow(Struct, frozen=True):
    """A name in use: its database key, and how many runs have an indexed value."""

    id: int
    runs: int


class Names(Struct, frozen=True):
    """Those of some names that runs of a project use, and how many runs the project has."""

    keys: Mapping[Key, KeyRow]
    runs: int


_IS_MINE = project.c.id == bindparam("project")
_RUNS = select(project.c.runs).where(_IS_MINE)
_IS_NAMED = and_(
    run_key.c.project_id == project.c.id,
    run_key.c.kind.in_(bindparam("kinds", expanding=True)),
    run_key.c.name.in_(bindparam("names", expanding=True)),
)
_KEYS = (
    select(project.c.runs, run_key.c.kind, run_key.c.name, run_key.c.id, run_key.c.runs.label("uses"))
    .select_from(project.outerjoin(run_key, _IS_NAMED))
    .where(_IS_MINE)
)


def find_names(connection: Connection, project_key: int, names: Collection[Key]) -> Names:
    """Look names up, all in one statement.

    It asks for each name with each kind, more than was wanted: SQLite looks pairs up by reading all keys there are.
    """
    if not names:
        return Names({}, connection.execute(_RUNS, {"project": project_key}).scalar_one())
    stored = {(kind, name): (kind, index_name(name)) for kind, name in names}
    kinds, texts = (sorted(set(some)) for some in zip(*stored.values(), strict=True))
    rows = connection.execute(_KEYS, {"project": project_key, "kinds": kinds, "names": texts}).all()
    found = {(row.kind, row.name): KeyRow(row.id, row.uses) for row in rows}
    return Names({name: found[as_stored] for name, as_stored in stored.items() if as_stored in found}, rows[0].runs)


def names_in(part: Filter) -> set[Key]:
    """The named values that a filter asks for."""
    match part:
        case And() | Or():
            return set().union(*map(names_in, part.parts))
        case Not():
            return names_in(part.part)
        case _:
            return set() if part.field.kind is None else {(part.field.kind, part.field.name)}
