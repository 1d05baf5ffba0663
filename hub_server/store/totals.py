"""How much of everything there is."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from hub_server.store.schema import pack, project

_PROJECTS = select(func.count().label("projects"), func.coalesce(func.sum(project.c.runs), 0).label("runs"))
_PACKS = select(
    func.count().label("packs"),
    func.coalesce(func.sum(pack.c.size), 0).label("pack_bytes"),
    func.count(pack.c.damaged_at).label("damaged_packs"),
)


def count(connection: Connection) -> dict[str, int]:
    """Projects, runs, packs, the bytes of these, and how many of them are damaged."""
    rows = [connection.execute(query).mappings().one() for query in (_PROJECTS, _PACKS)]
    return {name: int(value) for row in rows for name, value in row.items()}
