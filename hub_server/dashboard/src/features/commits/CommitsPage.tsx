import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { commitsQuery, projectQuery } from "../../api/queries";
import type { CommitInfo } from "../../api/types";
import { Hash } from "../../components/Hash";
import { ListPage } from "../../components/ListPage";
import { Snippet } from "../../components/Snippet";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";
import { hubUrl } from "../../lib/base";
import { formatBytes, shorten } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { ConsistencyBadge } from "./ConsistencyBadge";

export function CommitsPage() {
  const { project } = useParams({ from: "/shell/p/$project/commits" });
  useTitle("Commits", useQuery(projectQuery(project)).data?.name);
  const query = useInfiniteQuery(commitsQuery(project));
  return (
    <ListPage title="Commits" noun="commit" query={query} more="Show older commits" empty={<NoCommits />}>
      {(commits) => (
        <>
          <Snippet code={`ds clone ${hubUrl(`p/${project}`).href}`} label="Command that clones this project" />
          <CommitTable project={project} commits={commits} />
        </>
      )}
    </ListPage>
  );
}

function NoCommits() {
  return (
    <EmptyState title="No commits yet">
      <p>A commit is made with every run, and when somebody saves and pushes by hand.</p>
    </EmptyState>
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
