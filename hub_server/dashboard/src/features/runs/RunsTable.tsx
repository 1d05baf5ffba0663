import { Link, useNavigate } from "@tanstack/react-router";
import { useVirtualizer, type VirtualItem } from "@tanstack/react-virtual";
import { useEffect, useRef, type MouseEvent, type RefObject } from "react";

import type { Sorting } from "../../api/queries";
import type { Run } from "../../api/types";
import { Icon } from "../../components/Icon";
import { formatCount } from "../../lib/format";
import { titleOf } from "../../lib/run";
import { useShortcuts } from "../../lib/shortcuts";
import { AuthorityBadge, OverwrittenBadge, StatusMark } from "./badges";
import { groupSpans, type Column } from "./columns";

const ROW_PX = 36;
const NAME_PX = 300;
const LOAD_AHEAD = 30;
const HEAD_ROWS = 2;

interface Props {
  project: string;
  runs: readonly Run[];
  /** All runs of the project; null where the hub stopped counting. */
  total: number | null;
  columns: readonly Column[];
  sorting: Sorting;
  onSort: (sort: string) => void;
  baseline: Run | null;
  onBaseline: (run: string) => void;
  selected: readonly string[];
  onSelect: (run: string) => void;
  fresh: ReadonlySet<string>;
  scroller: RefObject<HTMLDivElement | null>;
  /** The rows of the former order are still shown. */
  isStale: boolean;
  loadMore: (() => void) | null;
}

/**
 * A real table of which only the visible rows exist; two spacers stand for the others.
 *
 * Column widths are fixed, so that rows that come into view never move the columns.
 */
export function RunsTable(props: Props) {
  const { runs, columns, scroller, loadMore } = props;
  const virtual = useVirtualizer({
    count: runs.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => runs[index]?.id ?? index,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (loadMore && last >= runs.length - LOAD_AHEAD) loadMore();
  }, [last, loadMore, runs.length]);
  const select = (index: number) => {
    const run = runs[index];
    if (run) props.onSelect(run.id);
  };
  useRowKeys(scroller, runs.length, (index) => virtual.scrollToIndex(index, { align: "auto" }), select);

  const width_px = columns.reduce((sum, column) => sum + column.width_px, NAME_PX);
  const above_px = items[0]?.start ?? 0;
  const below_px = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <div className="runs-scroll" ref={scroller} data-stale={props.isStale} tabIndex={-1}>
      <table className="table runs-table" aria-rowcount={rowCount(props.total)} aria-label="Runs" style={{ minWidth: width_px }}>
        <colgroup>
          <col style={{ minWidth: NAME_PX }} />
          {columns.map((column) => (
            <col key={column.id} style={{ width: column.width_px }} />
          ))}
        </colgroup>
        <RunsHead {...props} />
        <tbody>
          <Spacer height_px={above_px} span={columns.length + 1} />
          {items.map((item) => (
            <RunRow key={item.key} item={item} {...props} />
          ))}
          <Spacer height_px={below_px} span={columns.length + 1} />
        </tbody>
      </table>
    </div>
  );
}

/** WAI-ARIA: -1 says that the number of rows is not known. */
function rowCount(total: number | null): number {
  return total === null ? -1 : total + HEAD_ROWS;
}

function Spacer({ height_px, span }: { height_px: number; span: number }) {
  if (height_px <= 0) return null;
  return (
    <tr aria-hidden="true" className="spacer">
      <td colSpan={span} style={{ height: height_px }} />
    </tr>
  );
}

function RunsHead({ columns, sorting, onSort }: Props) {
  return (
    <thead>
      <tr className="group-row">
        <td className="pinned" />
        {groupSpans(columns).map(({ group, span }) =>
          group === "Run" ? (
            <td key={group} colSpan={span} />
          ) : (
            <th key={group} scope="colgroup" colSpan={span}>
              {group}
            </th>
          ),
        )}
      </tr>
      <tr>
        <th scope="col" className="pinned">
          Run
        </th>
        {columns.map((column) => (
          <HeadCell key={column.id} column={column} sorting={sorting} onSort={onSort} />
        ))}
      </tr>
    </thead>
  );
}

function HeadCell({ column, sorting, onSort }: { column: Column; sorting: Sorting; onSort: (sort: string) => void }) {
  const { sort } = column;
  const order = sort !== undefined && sorting.sort === sort ? sorting.order : undefined;
  const direction = order && (order === "asc" ? "ascending" : "descending");
  return (
    <th scope="col" className={column.isNumeric ? "numeric" : undefined} aria-sort={direction} title={column.title}>
      {sort === undefined ? (
        <span className="head-text">{column.title}</span>
      ) : (
        <button type="button" className="sort-button" onClick={() => onSort(sort)}>
          <span className="head-text">{column.title}</span>
          {order && <Icon name={order === "asc" ? "up" : "down"} />}
        </button>
      )}
    </th>
  );
}

function RunRow(props: Props & { item: VirtualItem }) {
  const { item, runs, columns, project, baseline, onBaseline, selected, onSelect, fresh } = props;
  const navigate = useNavigate();
  const run = runs[item.index];
  if (!run) return null;
  const open = (event: MouseEvent) => {
    if (!isPlainClick(event)) return;
    void navigate({ to: "/p/$project/runs/$run", params: { project, run: run.id }, search: {} });
  };
  return (
    <tr
      className="run-row"
      aria-rowindex={item.index + HEAD_ROWS + 1}
      data-index={item.index}
      data-fresh={fresh.has(run.id) || undefined}
      data-baseline={baseline?.id === run.id || undefined}
      data-selected={selected.includes(run.id) || undefined}
      onClick={open}
    >
      <th scope="row" className="pinned">
        <span className="run-name">
          <input
            type="checkbox"
            className="select"
            aria-label={`Select ${titleOf(run)}`}
            checked={selected.includes(run.id)}
            onChange={() => onSelect(run.id)}
          />
          <StatusMark record={run.record} />
          <Link to="/p/$project/runs/$run" params={{ project, run: run.id }} search={{}} className="row-link">
            {titleOf(run)}
          </Link>
          {run.tags.map((tag) => (
            <span key={tag} className="tag">
              {tag}
            </span>
          ))}
          {run.comments > 0 && (
            <span className="comment-count" title={formatCount(run.comments, "comment")}>
              <Icon name="comment" />
              {run.comments}
            </span>
          )}
          {run.record.authority !== "workload" && <AuthorityBadge record={run.record} />}
          <OverwrittenBadge record={run.record} />
          <PinButton isPinned={baseline?.id === run.id} name={titleOf(run)} onClick={() => onBaseline(run.id)} />
        </span>
      </th>
      {columns.map((column) => (
        <td key={column.id} className={column.isNumeric ? "numeric" : undefined}>
          {column.cell(run, baseline)}
        </td>
      ))}
    </tr>
  );
}

function PinButton({ isPinned, name, onClick }: { isPinned: boolean; name: string; onClick: () => void }) {
  const label = `Compare all runs with ${name}`;
  return (
    <button
      type="button"
      className="icon-button small pin"
      aria-pressed={isPinned}
      aria-label={label}
      title="Compare all runs with this one"
      onClick={onClick}
    >
      <Icon name="pin" />
    </button>
  );
}

/** A click that means "open": not on a control, not with a modifier, not the end of a text selection. */
function isPlainClick(event: MouseEvent): boolean {
  if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return false;
  if (event.target instanceof Element && event.target.closest("a, button, input")) return false;
  return window.getSelection()?.isCollapsed ?? true;
}

function focusedRow(): number | null {
  const row = document.activeElement?.closest("[data-index]")?.getAttribute("data-index");
  return row ? Number(row) : null;
}

/** `j` and `k` walk the rows by moving the focus, so that Enter opens and screen readers follow. */
function useRowKeys(
  scroller: RefObject<HTMLDivElement | null>,
  count: number,
  reveal: (index: number) => void,
  select: (index: number) => void,
): void {
  const wanted = useRef<number | null>(null);
  const rowOf = (index: number) => scroller.current?.querySelector<HTMLElement>(`[data-index="${index}"] .row-link`);
  const move = (step: number) => {
    const row = focusedRow();
    const index = row === null ? 0 : Math.min(count - 1, Math.max(0, row + step));
    reveal(index);
    wanted.current = index;
    rowOf(index)?.focus({ preventScroll: true });
  };
  useEffect(() => {
    // The row may only now have come into existence.
    const row = wanted.current === null ? null : rowOf(wanted.current);
    if (!row) return;
    if (document.activeElement !== row) row.focus({ preventScroll: true });
    wanted.current = null;
  });
  useShortcuts([
    { key: "j", description: "Next run", run: () => move(1) },
    { key: "k", description: "Previous run", run: () => move(-1) },
    { key: "x", description: "Select the run", run: () => select(focusedRow() ?? -1) },
    { key: "Enter", description: "Open the run", run: null },
  ]);
}
