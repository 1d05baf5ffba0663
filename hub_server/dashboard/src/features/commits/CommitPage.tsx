import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { commitQuery, projectQuery, runQuery } from "../../api/queries";
import type { CommitInfo } from "../../api/types";
import { Panel } from "../../components/Panel";
import { ErrorPanel, Skeleton } from "../../components/states";
import { formatCount, shorten } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { nameOf } from "../../lib/run";
import { FileBrowser } from "../files/FileBrowser";
import { ChangesPanel } from "./ChangesPanel";
import { CommitFacts } from "./CommitPanel";

const NAMED_RUNS = 20;

/** One snapshot: what it holds and which runs it belongs to. */
export function CommitPage() {
  const { project, commit } = useParams({ from: "/shell/p/$project/commits/$commit" });
  const query = useQuery(commitQuery(project, commit));
  useTitle(`Commit ${shorten(commit)}`, useQuery(projectQuery(project)).data?.name);
  return (
    <div className="page wide">
      {query.isPending && <Skeleton what="the commit" rows={10} />}
      {query.isError && <ErrorPanel isPage={!query.data} error={query.error} retry={() => void query.refetch()} />}
      {query.data && <CommitView project={project} commit={query.data} />}
    </div>
  );
}

function CommitView({ project, commit }: { project: string; commit: CommitInfo }) {
  return (
    <>
      <header className="run-header">
        <h1>{commit.message || `Commit ${shorten(commit.id)}`}</h1>
      </header>
      <div className="columns">
        <div className="column-main">
          <ChangesPanel project={project} commit={commit.id} />
          <FileBrowser project={project} commit={commit.id} />
        </div>
        <aside className="column-side" aria-label="About this commit">
          <Panel title="Commit">
            <CommitFacts commit={commit} />
          </Panel>
          <CommitRuns project={project} runs={commit.runs} />
        </aside>
      </div>
    </>
  );
}

function CommitRuns({ project, runs }: { project: string; runs: readonly string[] }) {
  if (runs.length === 0) return null;
  return (
    <Panel title="Runs" aside={<span className="muted">{runs.length}</span>}>
      <ul className="link-list">
        {runs.map((run, index) => (
          <li key={run}>
            <Link to="/p/$project/runs/$run" params={{ project, run }} search={{}}>
              {index < NAMED_RUNS ? <RunName project={project} run={run} /> : shorten(run)}
            </Link>
          </li>
        ))}
      </ul>
      {runs.length > NAMED_RUNS && (
        <p className="panel-empty">Only the first {formatCount(NAMED_RUNS, "run")} are shown by name.</p>
      )}
    </Panel>
  );
}

function RunName({ project, run }: { project: string; run: string }) {
  const query = useQuery(runQuery(project, run));
  return <>{query.data ? nameOf(query.data.record) : shorten(run)}</>;
}
