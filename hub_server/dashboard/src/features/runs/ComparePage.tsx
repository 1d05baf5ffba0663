import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { comparisonQuery, projectQuery } from "../../api/queries";
import type { ComparedFile, ComparedValue, Comparison, Run, RunRecord } from "../../api/types";
import { EmptyState, ErrorPanel, Skeleton } from "../../components/states";
import { exactValue, formatValue, shorten } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { overwrittenOf, titleOf } from "../../lib/run";
import { OverwrittenBadge, StatusMark } from "./badges";

const MAX_COMPARED = 50;

/** Runs side by side: what differs, and on request what does not. */
export function ComparePage() {
  const { project } = useParams({ from: "/shell/p/$project/compare" });
  const { runs } = useSearch({ from: "/shell/p/$project/compare" });
  useTitle("Compare runs", useQuery(projectQuery(project)).data?.name);
  const query = useQuery(comparisonQuery(project, runs.slice(0, MAX_COMPARED)));
  return (
    <div className="page wide">
      <h1>Compare runs</h1>
      {runs.length < 2 && (
        <EmptyState title="Nothing to compare yet">
          <p>
            Select two or more runs in the <Link to="/p/$project" params={{ project }}>list</Link>, then choose Compare.
          </p>
        </EmptyState>
      )}
      {runs.length > MAX_COMPARED && (
        <p role="status">
          The first {MAX_COMPARED} of {runs.length} runs are compared; the others are left out. Select fewer to see them.
        </p>
      )}
      {query.isLoading && <Skeleton what="the runs" />}
      {query.isError && <ErrorPanel error={query.error} retry={() => void query.refetch()} />}
      {query.data && <ComparisonView comparison={query.data} />}
    </div>
  );
}

function ComparisonView({ comparison }: { comparison: Comparison }) {
  const [showsAll, setShowsAll] = useState(false);
  const shown = <T extends { differs: boolean }>(rows: readonly T[]) => rows.filter((row) => showsAll || row.differs);
  const { runs, summary, parameters, labels, files } = comparison;
  const groups = [
    { title: "Metrics", rows: shown(summary).map((row) => valueRow(row, runs, "summary")) },
    { title: "Parameters", rows: shown(parameters).map((row) => valueRow(row, runs, "parameters")) },
    { title: "Labels", rows: shown(labels).map((row) => valueRow(row, runs, "labels")) },
    { title: "Files", rows: shown(files).map((row) => fileRow(row, runs)) },
  ].filter(({ rows }) => rows.length > 0);
  return (
    <>
      <label className="check">
        <input type="checkbox" checked={showsAll} onChange={(event) => setShowsAll(event.target.checked)} />
        Show what is the same in all runs, too
      </label>
      {groups.length === 0 && <p>These runs have the same metrics, parameters, labels and files.</p>}
      <div className="panel table-scroll">
        <table className="table compare" data-all={showsAll}>
          <thead>
            <tr>
              <td />
              {runs.map((run) => (
                <RunHead key={run.id} run={run} />
              ))}
            </tr>
          </thead>
          {groups.map(({ title, rows }) => (
            <tbody key={title}>
              <tr className="compare-group">
                <th scope="rowgroup" colSpan={runs.length + 1}>
                  {title}
                </th>
              </tr>
              {rows}
            </tbody>
          ))}
        </table>
      </div>
    </>
  );
}

function RunHead({ run }: { run: Run }) {
  return (
    <th scope="col">
      <span className="run-name">
        <StatusMark record={run.record} />
        <Link to="/p/$project/runs/$run" params={{ project: run.project_id, run: run.id }} search={{}}>
          {titleOf(run)}
        </Link>
      </span>
      <code className="muted">{shorten(run.id)}</code> <OverwrittenBadge record={run.record} />
    </th>
  );
}

/** A run that has no value is told from one whose value is None by its record: the hub sends null for both. */
function valueRow({ name, values, differs }: ComparedValue, runs: readonly Run[], group: ValueGroup): ReactNode {
  return (
    <tr key={name} data-differs={differs}>
      <th scope="row">{name}</th>
      {values.map((value, column) => {
        const has = Object.hasOwn(runs[column]?.record[group] ?? {}, name);
        return has ? <td key={column} title={exactValue(value)}>{formatValue(value)}</td> : <Absent key={column} />;
      })}
    </tr>
  );
}

type ValueGroup = keyof Pick<RunRecord, "summary" | "parameters" | "labels">;

function Absent() {
  return <td className="muted">–</td>;
}

function fileRow({ direction, path, content_hashes, differs }: ComparedFile, runs: readonly Run[]): ReactNode {
  return (
    <tr key={`${direction} ${path}`} data-differs={differs}>
      <th scope="row">
        <span className="muted">{direction}</span> {path}
      </th>
      {content_hashes.map((hash, column) => (
        <FileCell key={column} hash={hash} isLost={direction === "output" && isOverwritten(runs[column], path)} />
      ))}
    </tr>
  );
}

function FileCell({ hash, isLost }: { hash: string | null; isLost: boolean }) {
  if (isLost) return <td title="A later run wrote this file before the snapshot was taken">overwritten</td>;
  return hash === null ? <Absent /> : <td><code title={hash}>{shorten(hash)}</code></td>;
}

function isOverwritten(run: Run | undefined, path: string): boolean {
  return run !== undefined && overwrittenOf(run.record).includes(path);
}

/** The runs to compare, from the address bar: their ids with commas between them. */
export function readCompareSearch(search: Record<string, unknown>): { runs: string[] } {
  const { runs } = search;
  const named = Array.isArray(runs) ? runs.filter((run) => typeof run === "string") : [];
  return { runs: [...new Set(named)] };
}
