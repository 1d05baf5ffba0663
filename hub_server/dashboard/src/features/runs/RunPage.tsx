import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";

import { HubError } from "../../api/problem";
import { liveRunQuery, projectQuery, runQuery } from "../../api/queries";
import type { RunDetails, RunRecord } from "../../api/types";
import { Badge } from "../../components/Badge";
import { CopyButton } from "../../components/CopyButton";
import { DownloadLink } from "../../components/DownloadLink";
import { ErrorPanel, Skeleton } from "../../components/states";
import { Time } from "../../components/Time";
import { durationOf, formatDuration } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { nameOf, sourceOf, statusOf, titleOf } from "../../lib/run";
import { CommitPanel } from "../commits/CommitPanel";
import { FileBrowser } from "../files/FileBrowser";
import { CurvesPanel } from "../metrics/CurvesPanel";
import { AuthorityBadge, OverwrittenBadge } from "./badges";
import { CommentsPanel } from "./CommentsPanel";
import { EnvironmentPanel } from "./EnvironmentPanel";
import { FilesPanel } from "./FilesPanel";
import { LiveRunView } from "./LiveRunView";
import { ModelsPanel } from "./ModelsPanel";
import { OriginPanel } from "./OriginPanel";
import { ProvenancePanel } from "./ProvenancePanel";
import { SaidPanel } from "./SaidPanel";
import { InTrash, TrashButton } from "./trash";
import { ValuesPanel } from "./ValuesPanel";
import { plainText } from "../../lib/ansi";

export function RunPage() {
  const { project, run } = useParams({ from: "/shell/p/$project/runs/$run" });
  const query = useQuery(runQuery(project, run));
  const isUnknown = !query.data && query.error instanceof HubError && query.error.status === 404;
  const live = useQuery({ ...liveRunQuery(project, run), enabled: isUnknown });
  const liveRun = isUnknown ? live.data : undefined;
  const shown = query.data ?? liveRun;
  const projectName = useQuery(projectQuery(project)).data?.name;
  useTitle(shown && (query.data ? titleOf(query.data) : nameOf(shown.record)), projectName);
  const isWaiting = query.isPending || (isUnknown && live.isPending);
  const failure = isWaiting || liveRun ? null : query.error;
  return (
    <div className="page wide">
      {isWaiting && <Skeleton what="the run" rows={10} />}
      {failure && <ErrorPanel isPage={!query.data} error={failure} retry={() => void query.refetch()} />}
      {query.data && <RunView project={project} run={query.data} />}
      {liveRun && <LiveRunView project={project} run={liveRun} />}
    </div>
  );
}

function RunView({ project, run }: { project: string; run: RunDetails }) {
  const { record, commit } = run;
  return (
    <>
      <RunHeader run={run} />
      <InTrash run={run} />
      {record.error !== null && <FailurePanel record={record} />}
      <WarningList warnings={[...record.warnings, ...run.warnings]} />
      <div className="columns">
        <div className="column-main">
          <div className="pair">
            <ValuesPanel title="Metrics" values={record.summary} empty="No metrics were recorded." />
            <ValuesPanel title="Parameters" values={record.parameters} empty="No parameters were recorded." />
          </div>
          <CurvesPanel project={project} run={run.id} />
          <FilesPanel title="Inputs" files={record.inputs} project={project} commit={commit} />
          <FilesPanel title="Outputs" files={record.outputs} project={project} commit={commit} />
          <ProvenancePanel project={project} run={run.id} />
          <ModelsPanel record={record} project={project} />
          <CommentsPanel run={run} />
          {commit !== null && <FileBrowser project={project} commit={commit} />}
        </div>
        <aside className="column-side" aria-label="About this run">
          <SaidPanel run={run} />
          <OriginPanel run={run} />
          {Object.keys(record.labels).length > 0 && <ValuesPanel title="Labels" values={record.labels} empty="" />}
          {commit !== null && <CommitPanel project={project} commit={commit} />}
          <EnvironmentPanel environment={run.environment} />
        </aside>
      </div>
    </>
  );
}

function RunHeader({ run }: { run: RunDetails }) {
  const { record } = run;
  const status = statusOf(record);
  return (
    <header className="run-header">
      <div className="run-title">
        <h1>{titleOf(run)}</h1>
        <div className="run-actions">
          {run.commit !== null && (
            <DownloadLink of={["projects", run.project_id, "runs", run.id, "archive"]} what="the files of this run" />
          )}
          <TrashButton run={run} />
        </div>
      </div>
      <p className="run-facts">
        <Badge tone={status === "success" ? "good" : "bad"}>{status}</Badge>
        <AuthorityBadge record={record} />
        <OverwrittenBadge record={record} />
        {record.notebook_stale && (
          <Badge tone="warn" hint="The notebook was not saved after this run, so its file may be older than the run">
            notebook not saved
          </Badge>
        )}
        <span>
          <Time at={record.started_at ?? run.ingested_at} />
        </span>
        <span>{formatDuration(durationOf(record))}</span>
        {sourceOf(record) && <code>{sourceOf(record)}</code>}
        <span className="hash">
          <code>{run.id}</code>
          <CopyButton text={run.id} what="run id" />
        </span>
      </p>
    </header>
  );
}

function FailurePanel({ record }: { record: RunRecord }) {
  return (
    <section className="notice failure" data-tone="bad" aria-label="Error">
      <pre className="failure-message">{plainText(record.error || "The run failed without a message.")}</pre>
      {record.traceback && (
        <details>
          <summary>Traceback</summary>
          <pre className="traceback">{plainText(record.traceback)}</pre>
          <CopyButton text={plainText(record.traceback)} what="traceback" />
        </details>
      )}
    </section>
  );
}

function WarningList({ warnings }: { warnings: readonly string[] }) {
  if (warnings.length === 0) return null;
  return (
    <section className="notice" data-tone="warn" aria-label="Warnings">
      <ul>
        {warnings.map((warning) => (
          <li key={warning}>{warning}</li>
        ))}
      </ul>
    </section>
  );
}
