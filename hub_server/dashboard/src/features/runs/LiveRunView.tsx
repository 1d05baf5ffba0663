import type { LiveRun } from "../../api/types";
import { CopyButton } from "../../components/CopyButton";
import { Facts, Panel } from "../../components/Panel";
import { Time } from "../../components/Time";
import { formatTime } from "../../lib/format";
import { nameOf, sourceOf } from "../../lib/run";
import { CurvesPanel } from "../metrics/CurvesPanel";
import { LiveBadge } from "./LiveBadge";
import { ValuesPanel } from "./ValuesPanel";

/** A run that is not published yet: what it was when it began to send points, and its curves. */
export function LiveRunView({ project, run }: { project: string; run: LiveRun }) {
  const { record } = run;
  return (
    <>
      <header className="run-header">
        <h1>{nameOf(record)}</h1>
        <p className="run-facts">
          <LiveBadge status={run.status} />
          <span>
            started <Time at={run.started_at} />
          </span>
          {sourceOf(record) && <code>{sourceOf(record)}</code>}
          <span className="hash">
            <code>{run.id}</code>
            <CopyButton text={run.id} what="run id" />
          </span>
        </p>
      </header>
      {run.status === "lost" && <LostNote run={run} />}
      <div className="columns">
        <div className="column-main">
          <CurvesPanel project={project} run={run.id} isLive />
        </div>
        <aside className="column-side" aria-label="About this run">
          <ValuesPanel title="Parameters" values={record.parameters} empty="None when its first point came." />
          {Object.keys(record.labels).length > 0 && <ValuesPanel title="Labels" values={record.labels} empty="" />}
          <Panel title="Origin">
            <Facts
              entries={[
                ["Started", formatTime(run.started_at)],
                ["Last heard", formatTime(run.heard_at)],
                ["Notebook", record.place?.notebook && <code>{record.place.notebook}</code>],
                ["Script", !record.place?.notebook && record.workload_file && <code>{record.workload_file}</code>],
                ["Host", record.place?.host],
                ["Process", record.place?.pid?.toString()],
              ]}
            />
          </Panel>
        </aside>
      </div>
    </>
  );
}

function LostNote({ run }: { run: LiveRun }) {
  return (
    <section className="notice" data-tone="warn" aria-label="Lost">
      <p>
        Nothing was heard of this run since <Time at={run.heard_at} />: its process ended without <code>ds.publish()</code>,
        or its machine is away. What it sent is kept for 7 days, and for good if it is published after all.
      </p>
    </section>
  );
}
