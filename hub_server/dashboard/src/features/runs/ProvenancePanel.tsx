import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { traceQuery } from "../../api/queries";
import type { Direction, Trace, TraceEdge, TraceRun } from "../../api/types";
import { Panel } from "../../components/Panel";
import { ErrorPanel } from "../../components/states";
import { shorten } from "../../lib/format";

/** The runs next to a run: those that made what it read, and those that read what it made. */
export function ProvenancePanel({ project, run }: { project: string; run: string }) {
  const sides = [useQuery(traceQuery(project, run, "upstream")), useQuery(traceQuery(project, run, "downstream"))];
  const failed = sides.find((side) => side.isError);
  if (failed) return <ErrorPanel error={failed.error ?? new Error("no trace")} retry={() => void failed.refetch()} />;
  const [upstream, downstream] = sides.map((side) => side.data);
  if (!upstream || !downstream || upstream.edges.length + downstream.edges.length === 0) return null;
  return (
    <Panel title="Provenance">
      <Neighbours title="Comes from" trace={upstream} direction="upstream" />
      <Neighbours title="Used by" trace={downstream} direction="downstream" />
    </Panel>
  );
}

function Neighbours({ title, trace, direction }: { title: string; trace: Trace; direction: Direction }) {
  if (trace.edges.length === 0) return null;
  const runs = new Map(trace.runs.map((one) => [one.id, one]));
  const isPartial = direction === "downstream" && trace.more.includes(trace.runs[0]?.id ?? "");
  return (
    <>
      <h3 className="provenance-title">{title}</h3>
      <ul className="provenance">
        {trace.edges.map((edge) => (
          <li key={`${edge.maker} ${edge.reader} ${edge.path}`}>
            <Neighbour edge={edge} other={runs.get(direction === "upstream" ? edge.maker : edge.reader)} />
          </li>
        ))}
      </ul>
      {isPartial && <p className="muted">There are more; <code>ds runs trace</code> shows them.</p>}
    </>
  );
}

function Neighbour({ edge, other }: { edge: TraceEdge; other: TraceRun | undefined }) {
  if (!other) return null;
  return (
    <>
      <code>{edge.path}</code>{" "}
      <Link to="/p/$project/runs/$run" params={{ project: other.project_id, run: other.id }} search={{}}>
        {other.title ?? shorten(other.id)}
      </Link>
    </>
  );
}
