import { useInfiniteQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";

import { auditQuery } from "../../api/queries";
import type { AuditEntry } from "../../api/types";
import { Badge } from "../../components/Badge";
import { ListPage } from "../../components/ListPage";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";
import { useTitle } from "../../lib/hooks";

/** Who changed what on the hub, for administrators. */
export function AuditPage() {
  return <AuditList project={null} />;
}

/** Who changed what in a project, for its owners. */
export function ProjectAuditPage() {
  const { project } = useParams({ from: "/shell/p/$project/audit" });
  return <AuditList project={project} />;
}

function AuditList({ project }: { project: string | null }) {
  useTitle("Audit log");
  const query = useInfiniteQuery(auditQuery(project));
  const empty = (
    <EmptyState title="Nothing was changed yet">
      <p>Pushes and reading are not noted here.</p>
    </EmptyState>
  );
  return (
    <ListPage title="Audit log" noun="change" query={query} more="Show older entries" empty={empty}>
      {(entries) => <AuditTable entries={entries} />}
    </ListPage>
  );
}

function AuditTable({ entries }: { entries: AuditEntry[] }) {
  return (
    <div className="panel table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            <th scope="col">About</th>
            <th scope="col">Outcome</th>
            <th scope="col">From</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry, row) => (
            <tr key={`${entry.at} ${row}`}>
              <td>
                <Time at={entry.at} />
              </td>
              <td title={entry.credential}>{entry.account || "nobody"}</td>
              <td>{entry.action.replaceAll("_", " ")}</td>
              <td className="audit-target">{entry.target}</td>
              <td>
                <Badge tone={entry.status < 400 ? "good" : "bad"}>{entry.status < 400 ? "done" : `refused (${entry.status})`}</Badge>
              </td>
              <td className="muted">{entry.client}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
