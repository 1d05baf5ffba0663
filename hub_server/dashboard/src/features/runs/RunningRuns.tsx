import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { liveRunsQuery } from "../../api/queries";
import type { LiveRun } from "../../api/types";
import { Time } from "../../components/Time";
import { formatCount, formatValue } from "../../lib/format";
import { nameOf } from "../../lib/run";
import { LiveBadge } from "./LiveBadge";

const SHOWN_VALUES = 4;

/** The runs of a project that are not published yet; nothing where there are none. */
export function RunningRuns({ project }: { project: string }) {
  const { data } = useQuery(liveRunsQuery(project));
  if (!data || data.items.length === 0) return null;
  return (
    <section className="running" aria-label="Runs that are not published yet">
      <ul>
        {data.items.map((run) => (
          <Row key={run.id} run={run} />
        ))}
      </ul>
      {data.next !== null && <p className="muted">{formatCount(data.total, "run", data.total_is_exact)} in all.</p>}
    </section>
  );
}

function Row({ run }: { run: LiveRun }) {
  return (
    <li>
      <LiveBadge status={run.status} />
      <Link className="running-name" to="/p/$project/runs/$run" params={{ project: run.project_id, run: run.id }} search={{}}>
        {nameOf(run.record)}
      </Link>
      <span className="running-values">
        {run.latest.slice(0, SHOWN_VALUES).map((metric) => (
          <span key={metric.name}>
            <span className="muted">{metric.name}</span> {formatValue(metric.value)}
          </span>
        ))}
      </span>
      <span className="muted running-time">
        <Time at={run.started_at} />
      </span>
    </li>
  );
}
