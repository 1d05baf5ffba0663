import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { LIVE_CHECK_MS, metricsQuery } from "../../api/queries";
import type { LastValue, RunMetrics } from "../../api/types";
import { Panel } from "../../components/Panel";
import { ErrorPanel, Skeleton } from "../../components/states";
import { formatCount } from "../../lib/format";
import { Curve } from "./Curve";

const SHOWN = 12;
const MOST = 48;

/** The curves of a run's metrics; nothing for a published run that has none. */
export function CurvesPanel({ project, run, isLive = false }: { project: string; run: string; isLive?: boolean }) {
  const [find, setFind] = useState("");
  const [shown, setShown] = useState(SHOWN);
  const [known, setKnown] = useState<readonly string[]>();
  const isDefault = find === "" && shown === SHOWN; // the hub's own choice has more than these
  const wanted = isDefault ? undefined : known?.filter((name) => isMatch(name, find)).slice(0, shown);
  const query = useQuery({
    ...metricsQuery(project, run, wanted),
    placeholderData: keepPreviousData,
    refetchInterval: isLive && LIVE_CHECK_MS,
  });
  const names = query.data?.metrics.map((metric) => metric.name);
  if (names && names.join("\n") !== known?.join("\n")) setKnown(names);

  if (query.isError) return <ErrorPanel error={query.error} retry={() => void query.refetch()} />;
  if (!query.data) return isLive ? <Skeleton what="curves" /> : null;
  if (query.data.metrics.length === 0) return isLive ? <NoPoints /> : null;
  const matching = query.data.metrics.filter((metric) => isMatch(metric.name, find));
  return (
    <Panel
      title="Curves"
      aside={
        query.data.metrics.length > SHOWN ? (
          <input
            type="search"
            className="input small"
            placeholder="Find"
            aria-label="Find in curves"
            value={find}
            onChange={(event) => setFind(event.target.value)}
          />
        ) : (
          <span className="muted">{formatCount(query.data.points, "point")}</span>
        )
      }
    >
      <Curves data={query.data} metrics={matching.slice(0, shown)} />
      {matching.length === 0 && <p className="panel-empty">No metric has such a name.</p>}
      {matching.length > shown && shown < MOST && (
        <p className="panel-empty">
          <button type="button" className="button" onClick={() => setShown(Math.min(shown + SHOWN, MOST))}>
            Show more of {formatCount(matching.length, "metric")}
          </button>
        </p>
      )}
      {query.data.dropped > 0 && (
        <p className="panel-empty">{formatCount(query.data.dropped, "point")} beyond what is kept of a run.</p>
      )}
    </Panel>
  );
}

function isMatch(name: string, find: string): boolean {
  return name.toLowerCase().includes(find.toLowerCase());
}

function Curves({ data, metrics }: { data: RunMetrics; metrics: readonly LastValue[] }) {
  const curves = new Map(data.curves.map((curve) => [curve.name, curve]));
  return (
    <div className="curves">
      {metrics.map((metric) => {
        const curve = curves.get(metric.name);
        return curve && <Curve key={metric.name} metric={metric} curve={curve} group={data.run_id} />;
      })}
    </div>
  );
}

function NoPoints() {
  return (
    <Panel title="Curves">
      <p className="panel-empty">
        No points yet. <code>ds.metric("loss", loss, step=step)</code> draws one here within seconds.
      </p>
    </Panel>
  );
}
