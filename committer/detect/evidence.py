"""What was executed between two states of a notebook, by the evidence that its writer left. Pure functions.

docs/design/executions.md has the table of cases. Nothing is an execution that can be explained by editing, copying,
another editor's save, an upgrade of the format, or going back to an earlier version of the file.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from difflib import SequenceMatcher

import msgspec
from msgspec import Struct

from dotscience.notebook_cells import CellState, NotebookState

PAUSE_S = 10.0
"""Cells without a longer pause between them are one burst of execution."""
CELL_TIMES_FACTOR = 3
"""A writer that saves after each cell may be in one that takes as many times longer than those before."""
LONGEST_WAIT_S = 3600.0
SILENT_S = 300.0
"""A writer that says when its execution is over, and has neither said so nor saved for this long, was killed."""
SET_BACK = timedelta(days=1)
"""A clock that is before the start of tracking was set back: what was executed within so long before it counts."""
SKEW = timedelta(minutes=5)
"""By how much the clocks of those who write notebooks may differ; where it is more, one of them was set."""
ALIGNED = 2_000
"""Cells up to which sources are aligned: that takes time that grows with the square of their number."""


class Execution(Struct, frozen=True):
    """A cell that was executed. `key` stands for this execution wherever the cell is seen again.

    `earlier_at` is when the cell was executed the last time, where that is known.
    """

    key: str
    cell: CellState
    earlier_at: datetime | None = None


def keys_of(state: NotebookState, path: str) -> list[str]:
    """What to remember of a notebook whose executions are accounted for: of each cell, and of the file as it is."""
    return [file_key(state), *(key for cell in state.cells for key in _cell_keys(cell, path))]


def executions(
    before: Sequence[CellState] | None,
    now: NotebookState,
    is_remembered: Callable[[str], bool],
    *,
    path: str,
    is_open: bool = False,
    tracked_since: datetime,
    clock: datetime,
) -> list[Execution]:
    """The cells that were executed since `before`, in the order of the notebook.

    Args:
        before: the cells as they were accounted for last; None for a notebook that is seen for the first time.
        now: the notebook as it is saved now.
        is_remembered: whether one of `keys_of` was remembered for an earlier state of any notebook.
        path: that of the notebook.
        is_open: whether an execution is going on since `before`, so that the file was seen in states of it.
        tracked_since: cells that appear with an execution before this came with a copy or clone.
        clock: what time it is, or was at some time while it `is_open`; later times were written before it was set back.
    """
    if not is_open and is_remembered(file_key(now)):
        return []
    pairs = _pairs(before or (), now.cells)
    newest = max((cell.execution_count or 0 for cell in before or ()), default=0)
    found = []
    for place, cell in enumerate(now.cells):
        earlier = pairs.get(place)
        if cell.is_running:
            continue
        if cell.started_at is None or _keeps_an_old_time(earlier, cell):
            key = _state_key(cell, path)
            is_new = before is not None and _is_executed_untimed(earlier, cell, newest, is_copy=is_remembered(key))
        else:
            key = time_key(cell.started_at)
            if earlier is None:
                is_later = is_since(cell.started_at, tracked_since, clock)
            else:
                is_later = _is_later(earlier, cell.started_at, cell.ended_at, clock)
            is_new = is_later and not is_remembered(key)
        if is_new:
            found.append(Execution(key, cell, earlier.started_at if earlier is not None else None))
    return found


def is_since(moment: datetime, tracked_since: datetime, clock: datetime) -> bool:
    """Whether a moment is one since which the folder is tracked, also where `clock` was set back since then."""
    return moment > tracked_since or (clock < tracked_since and moment > clock - SET_BACK)


def _is_later(earlier: CellState, started_at: datetime, ended_at: datetime | None, clock: datetime) -> bool:
    """Whether a cell was executed again, by the clock or one that was set back meanwhile."""
    before = earlier.started_at
    if before is None or before < started_at:
        return True
    ended_later = ended_at is not None and ended_at > (earlier.ended_at or before)
    return before != started_at and (before > clock or ended_later)


def _keeps_an_old_time(earlier: CellState | None, cell: CellState) -> bool:
    """Whether a writer that notes no times has left another's in a cell that it executed: the number tells."""
    if earlier is None or cell.execution_count is None or earlier.started_at != cell.started_at:
        return False
    was_over = earlier.execution_count is not None or earlier.ended_at is not None
    return was_over and earlier.execution_count != cell.execution_count


def _is_executed_untimed(earlier: CellState | None, cell: CellState, newest: int, *, is_copy: bool) -> bool:
    """Whether a cell without times was executed: by a new number, else by new outputs."""
    if earlier is None:
        is_pasted = cell.execution_count is not None and cell.execution_count <= newest
        return _has_trace(cell) and not is_pasted and not is_copy
    if cell.execution_count is not None and cell.execution_count != earlier.execution_count:
        came_late = earlier.execution_count is None and earlier.has_output and earlier.outputs == cell.outputs
        return not came_late
    return cell.has_output and cell.outputs != earlier.outputs


def _has_trace(cell: CellState) -> bool:
    return cell.execution_count is not None or cell.has_output


# ---------------------------------------------------------------------------------- which cell is which


def _pairs(before: Sequence[CellState], now: Sequence[CellState]) -> dict[int, CellState]:
    """The cells as they were, by the place in `now` of what they are now.

    By ids that occur once on both sides; what is left by being the same in all, and then by aligning sources.
    """
    pairs = _by_id(before, now)
    taken = {id(cell) for cell in pairs.values()}
    left = [cell for cell in before if id(cell) not in taken]
    places = [place for place in range(len(now)) if place not in pairs]
    pairs |= _in_order(_everything, left, now, places)
    taken = {id(cell) for cell in pairs.values()}
    left = [cell for cell in left if id(cell) not in taken]
    places = [place for place in places if place not in pairs]
    return pairs | _aligned(left, now, places)


def _by_id(before: Sequence[CellState], now: Sequence[CellState]) -> dict[int, CellState]:
    known, present = ({cell.cell_id: cell for cell in cells} for cells in (before, now))
    counts = Counter(cell.cell_id for cell in before), Counter(cell.cell_id for cell in now)
    unique = {name for name in known.keys() & present.keys() if name and counts[0][name] == counts[1][name] == 1}
    return {place: known[cell.cell_id] for place, cell in enumerate(now) if cell.cell_id in unique}


def _in_order(
    name: Callable[[CellState], Hashable], left: Sequence[CellState], now: Sequence[CellState], places: Iterable[int]
) -> dict[int, CellState]:
    """Equal names are paired in their order."""
    waiting: dict[Hashable, deque[CellState]] = defaultdict(deque)
    for cell in left:
        waiting[name(cell)].append(cell)
    return {place: waiting[name(now[place])].popleft() for place in places if waiting[name(now[place])]}


def _aligned(left: Sequence[CellState], now: Sequence[CellState], places: Sequence[int]) -> dict[int, CellState]:
    if max(len(left), len(places)) > ALIGNED:
        return _in_order(lambda cell: cell.source, left, now, places)
    matcher = SequenceMatcher(
        None, [cell.source for cell in left], [now[place].source for place in places], autojunk=False
    )
    pairs: dict[int, CellState] = {}
    for tag, start, stop, first, last in matcher.get_opcodes():
        if tag == "equal" or (tag == "replace" and stop - start == last - first):
            pairs |= dict(zip(places[first:last], left[start:stop], strict=True))
    return pairs


def _everything(cell: CellState) -> Hashable:
    return cell.source, cell.execution_count, cell.started_at, cell.outputs


# ---------------------------------------------------------------------------------- what to remember


def _cell_keys(cell: CellState, path: str) -> list[str]:
    """Those of a cell as it is, and as it is after a hook has taken its number and times out."""
    if cell.is_running or not (_has_trace(cell) or cell.started_at):
        return []
    keys = [_state_key(cell, path)]
    if cell.started_at is not None:
        keys.append(time_key(cell.started_at))
    if cell.has_output:
        keys.append(_state_key(msgspec.structs.replace(cell, execution_count=None), path))
    return keys


def time_key(started_at: datetime) -> str:
    """A partial and a final output of one execution have the same time, whatever the cell's id and place."""
    return f"@{started_at.isoformat()}"


def _state_key(cell: CellState, path: str) -> str:
    """Cells without outputs (imports, say) are equal in many notebooks that were each executed: those count by path."""
    where = cell.outputs[:32] if cell.has_output else path
    return f"={cell.source}:{cell.execution_count}:{where}"


def file_key(state: NotebookState) -> str:
    """Stands for the file as it is, wherever it is seen again."""
    return f"#{state.digest}"


# ---------------------------------------------------------------------------------- when an execution is over


def is_trailing(
    found: Sequence[Execution], state: NotebookState, began_at: datetime, ended_at: datetime, saved_at: datetime
) -> bool:
    """Whether executions go on from a run between `began_at` and `ended_at`, in one burst without a pause.

    Cells without times count by when they were saved. What is before the burst came after the clock was set back.
    """
    pause = timedelta(seconds=PAUSE_S)
    reached, first = ended_at, began_at
    timed = sorted(
        (cell.started_at, cell.ended_at or cell.started_at) for cell in state.cells if cell.started_at is not None
    )
    for started, ended in timed:
        if started <= reached + pause:
            reached = max(reached, ended)
    for started, ended in sorted(timed, key=lambda cell: cell[1], reverse=True):
        if ended >= first - pause:
            first = min(first, started)
    return all(
        first - SKEW <= execution.cell.started_at <= reached
        if execution.cell.started_at is not None
        else first - SKEW <= saved_at <= reached + pause
        for execution in found
    )


def wait_s(found: Sequence[Execution], state: NotebookState, quiet_s: float) -> float:
    """For how long after its last save a notebook is waited for, in case the execution goes on.

    That is over when the writer says so, at an exception, and once the last cell was executed; before that, slow
    cells make the wait longer.
    """
    if state.is_executing or any(cell.is_running for cell in state.cells):
        return max(SILENT_S, _longest_s(found) * CELL_TIMES_FACTOR)
    if not found or any(execution.cell.error for execution in found) or found[-1].cell == state.cells[-1]:
        return quiet_s
    return max(quiet_s, min(_longest_s(found) * CELL_TIMES_FACTOR, LONGEST_WAIT_S))


def _longest_s(found: Iterable[Execution]) -> float:
    times = ((execution.cell.started_at, execution.cell.ended_at) for execution in found)
    return max(((end - start).total_seconds() for start, end in times if start and end), default=0.0)
