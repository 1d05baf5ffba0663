import { useInfiniteQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";

import { auditQuery } from "../../api/queries";
import type { AuditEntry } from "../../api/types";
import { Badge } from "../../components/Badge";
import { ListPage } from "../../components/ListPage";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";
import { shorten } from "../../lib/format";
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
      {(entries) => <AuditTable entries={entries} withProjects={project === null} />}
    </ListPage>
  );
}

function AuditTable({ entries, withProjects }: { entries: AuditEntry[]; withProjects: boolean }) {
  return (
    <div className="panel table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Who</th>
            <th scope="col">What</th>
            {withProjects && <th scope="col">Project</th>}
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
              <td title={entry.credential}>
                <Named name={entry.account || "nobody"} id={entry.account_id} />
              </td>
              <td>{entry.action.replaceAll("_", " ")}</td>
              {withProjects && (
                <td>
                  <Named name={entry.project_name} id={entry.project_id} />
                </td>
              )}
              <td className="audit-target">{entry.target}</td>
              <td>
                <Outcome entry={entry} />
              </td>
              <td className="muted">{entry.client}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The name that something had then, and the id that it has for good. */
function Named({ name, id }: { name: string | null; id: string | null }) {
  return (
    <>
      {name}{" "}
      {id !== null && (
        <code className="muted" title={id}>
          {shorten(id)}
        </code>
      )}
    </>
  );
}

function Outcome({ entry }: { entry: AuditEntry }) {
  if (entry.status < 400) return <Badge tone="good">done</Badge>;
  return (
    <>
      <Badge tone="bad">{`refused (${entry.status})`}</Badge>
      {entry.count > 1 && (
        <div className="muted">
          {entry.count.toLocaleString("en")} times, last <Time at={entry.last_at} />
        </div>
      )}
    </>
  );
}
