/**
 * The columns of the runs table, as data: which exist, which are shown, and how a cell reads.
 *
 * An id is what the URL carries in `cols`; for values it is also what the hub sorts by.
 */

import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { Columns, Run, Value } from "../../api/types";
import { Time } from "../../components/Time";
import { durationOf, exactValue, formatDuration, formatValue, isNumeric, shorten } from "../../lib/format";
import { sourceOf } from "../../lib/run";
import { deltaText } from "./baseline";

export type Group = "Run" | "Metrics" | "Parameters" | "Labels";

export interface Column {
  id: string;
  group: Group;
  title: string;
  width_px: number;
  isNumeric: boolean;
  /** What the hub calls this order; absent where it cannot sort. */
  sort?: string;
  cell: (run: Run, baseline: Run | null) => ReactNode;
}

const SHOWN_BY_DEFAULT = 6;
const DELTA_PX = 68;

const RUN_COLUMNS: readonly Column[] = [
  {
    id: "started",
    group: "Run",
    title: "Started",
    width_px: 116,
    isNumeric: false,
    sort: "started_at",
    cell: (run) => <Time at={run.record.started_at ?? run.ingested_at} />,
  },
  {
    id: "duration",
    group: "Run",
    title: "Duration",
    width_px: 92,
    isNumeric: true,
    cell: (run) => formatDuration(durationOf(run.record)),
  },
  {
    id: "source",
    group: "Run",
    title: "Notebook or script",
    width_px: 168,
    isNumeric: false,
    cell: (run) => <span title={sourceOf(run.record)}>{sourceOf(run.record) || "–"}</span>,
  },
  {
    id: "commit",
    group: "Run",
    title: "Commit",
    width_px: 92,
    isNumeric: false,
    cell: (run) => <CommitLink run={run} />,
  },
  {
    id: "host",
    group: "Run",
    title: "Host",
    width_px: 120,
    isNumeric: false,
    cell: (run) => run.record.place?.host ?? "–",
  },
];

function CommitLink({ run }: { run: Run }) {
  if (run.commit === null) return <>–</>;
  return (
    <Link to="/p/$project/commits/$commit" params={{ project: run.project_id, commit: run.commit }} search={{}}>
      <code>{shorten(run.commit)}</code>
    </Link>
  );
}

/**
 * Every column that a project has: those of all runs, then one for each metric, parameter and label in use.
 *
 * `sample` decides how a column is aligned: to the right when all its values there are numbers.
 */
export function allColumns(names: Columns | undefined, sample: readonly Run[]): Column[] {
  if (!names) return [...RUN_COLUMNS];
  return [
    ...RUN_COLUMNS,
    ...names.summary.map((name) => valueColumn("Metrics", "summary", name, sample)),
    ...names.parameters.map((name) => valueColumn("Parameters", "param", name, sample)),
    ...names.labels.map((name) => valueColumn("Labels", "label", name, sample)),
  ];
}

const FIELD = { summary: "summary", param: "parameters", label: "labels" } as const;

function valueColumn(group: Group, kind: keyof typeof FIELD, name: string, sample: readonly Run[]): Column {
  const id = `${kind}.${name}`;
  const read = (run: Run) => run.record[FIELD[kind]][name];
  return {
    id,
    group,
    title: name,
    width_px: Math.min(200, Math.max(96, 36 + name.length * 8)),
    isNumeric: sample.map(read).every((value) => value === undefined || isNumeric(value)),
    sort: id,
    cell: (run, baseline) => <ValueCell value={read(run)} base={baseline && kind === "summary" ? read(baseline) : undefined} />,
  };
}

function ValueCell({ value, base }: { value: Value | undefined; base: Value | undefined }) {
  if (value === undefined) return <span className="muted">–</span>;
  return (
    <span title={exactValue(value)}>
      {formatValue(value)}
      {base !== undefined && <small className="delta">{deltaText(value, base)}</small>}
    </span>
  );
}

/**
 * The ids shown where nobody has chosen any: when, how long, where, and the metrics and parameters that most of the newest
 * runs have. A project that has been renamed or rewritten a dozen times must not start with columns of dashes.
 */
export function defaultColumnIds(names: Columns | undefined, newest: readonly Run[]): string[] {
  return [
    "started",
    "duration",
    "source",
    ...mostUsed(names?.summary ?? [], newest, "summary").map((name) => `summary.${name}`),
    ...mostUsed(names?.parameters ?? [], newest, "parameters").map((name) => `param.${name}`),
  ];
}

function mostUsed(names: readonly string[], newest: readonly Run[], field: "summary" | "parameters"): string[] {
  const uses = (name: string) => newest.filter(({ record }) => Object.hasOwn(record[field], name)).length;
  const counted = names.map((name) => ({ name, uses: uses(name) })).filter((one) => one.uses > 0);
  return counted.sort((a, b) => b.uses - a.uses).slice(0, SHOWN_BY_DEFAULT).map(({ name }) => name);
}

/**
 * The columns to show, in the table's own order; ids that the project does not know (an old link) are left out.
 *
 * Metrics get room for their difference from a baseline.
 */
export function chosenColumns(all: readonly Column[], ids: readonly string[], hasBaseline: boolean): Column[] {
  const chosen = all.filter((column) => ids.includes(column.id));
  if (!hasBaseline) return chosen;
  return chosen.map((column) => (column.group === "Metrics" ? { ...column, width_px: column.width_px + DELTA_PX } : column));
}

/** Neighbours of the same group, for the header above the header. */
export function groupSpans(columns: readonly Column[]): { group: Group; span: number }[] {
  const spans: { group: Group; span: number }[] = [];
  for (const { group } of columns) {
    const last = spans.at(-1);
    if (last?.group === group) last.span += 1;
    else spans.push({ group, span: 1 });
  }
  return spans;
}
