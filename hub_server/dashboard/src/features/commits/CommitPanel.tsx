import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { commitQuery } from "../../api/queries";
import type { CommitInfo } from "../../api/types";
import { Hash } from "../../components/Hash";
import { Facts, Panel } from "../../components/Panel";
import { ErrorPanel, Skeleton } from "../../components/states";
import { formatBytes, formatCount, formatTime } from "../../lib/format";
import { ConsistencyBadge } from "./ConsistencyBadge";

/** The snapshot that a run belongs to, in short. */
export function CommitPanel({ project, commit }: { project: string; commit: string }) {
  const query = useQuery(commitQuery(project, commit));
  const link = (
    <Link to="/p/$project/commits/$commit" params={{ project, commit }} search={{}}>
      Open
    </Link>
  );
  return (
    <Panel title="Commit" aside={link}>
      {query.isPending && <Skeleton what="the commit" rows={3} />}
      {query.isError && <ErrorPanel error={query.error} retry={() => void query.refetch()} />}
      {query.data && <CommitFacts commit={query.data} />}
    </Panel>
  );
}

export function CommitFacts({ commit }: { commit: CommitInfo }) {
  return (
    <Facts
      entries={[
        ["Id", <Hash key="id" id={commit.id} what="commit id" />],
        ["Message", commit.message],
        ["Consistency", <ConsistencyBadge key="consistency" commit={commit} />],
        ["Files", `${formatCount(commit.files, "file")}, ${formatBytes(commit.size)}`],
        ["New", formatBytes(commit.new_bytes)],
        ["Author", commit.author],
        ["Pushed by", commit.pushed_by ? `${commit.pushed_by.account} (${commit.pushed_by.credential})` : "not recorded"],
        ["Made", formatTime(commit.created_at)],
        ["Client", commit.client],
        ["Branch", commit.branch === "main" ? null : commit.branch],
      ]}
    />
  );
}
