import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { commitsQuery, projectQuery } from "../../api/queries";
import type { CommitInfo } from "../../api/types";
import { Hash } from "../../components/Hash";
import { EmptyState, ErrorPanel, Skeleton } from "../../components/states";
import { Time } from "../../components/Time";
import { formatBytes, formatCount, shorten } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { ConsistencyBadge } from "./ConsistencyBadge";

export function CommitsPage() {
  const { project } = useParams({ from: "/shell/p/$project/commits" });
  useTitle("Commits", useQuery(projectQuery(project)).data?.name);
  const query = useInfiniteQuery(commitsQuery(project));
  const commits = query.data?.pages.flatMap((page) => page.items) ?? [];
  const first = query.data?.pages[0];
  return (
    <div className="page">
      <header className="page-header">
        <h1>Commits</h1>
        {first && <span className="muted">{formatCount(first.total, "commit", first.total_is_exact)}</span>}
      </header>
      {query.isPending && <Skeleton what="commits" />}
      {query.isError && <ErrorPanel error={query.error} retry={() => void query.refetch()} />}
      {query.isSuccess && commits.length === 0 && (
        <EmptyState title="No commits yet">
          <p>A commit is made with every run, and when somebody saves and pushes by hand.</p>
        </EmptyState>
      )}
      {commits.length > 0 && <CommitTable project={project} commits={commits} />}
      {query.hasNextPage && (
        <button type="button" className="button" disabled={query.isFetching} onClick={() => void query.fetchNextPage()}>
          Show older commits
        </button>
      )}
    </div>
  );
}

function CommitTable({ project, commits }: { project: string; commits: CommitInfo[] }) {
  return (
    <div className="panel table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Commit</th>
            <th scope="col">Made</th>
            <th scope="col" className="numeric">
              Runs
            </th>
            <th scope="col" className="numeric">
              Files
            </th>
            <th scope="col" className="numeric">
              New
            </th>
            <th scope="col">Consistency</th>
            <th scope="col">Author</th>
            <th scope="col">Id</th>
          </tr>
        </thead>
        <tbody>
          {commits.map((commit) => (
            <CommitRow key={commit.id} project={project} commit={commit} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function CommitRow({ project, commit }: { project: string; commit: CommitInfo }) {
  return (
    <tr className="linked-row">
      <th scope="row" className="clip">
        <Link to="/p/$project/commits/$commit" params={{ project, commit: commit.id }} search={{}} className="row-link">
          {commit.message || shorten(commit.id)}
        </Link>
      </th>
      <td>
        <Time at={commit.created_at} />
      </td>
      <td className="numeric">{commit.runs.length}</td>
      <td className="numeric">{commit.files.toLocaleString("en")}</td>
      <td className="numeric">{formatBytes(commit.new_bytes)}</td>
      <td>
        <ConsistencyBadge commit={commit} />
      </td>
      <td>{commit.author}</td>
      <td>
        <Hash id={commit.id} what="commit id" />
      </td>
    </tr>
  );
}
