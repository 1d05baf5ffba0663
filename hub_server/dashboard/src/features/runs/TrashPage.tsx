import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { projectQuery, trashQuery } from "../../api/queries";
import { ListPage } from "../../components/ListPage";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";
import { useTitle } from "../../lib/hooks";
import { titleOf } from "../../lib/run";
import { useTrash } from "./trash";

/** The runs of a project that were moved to the trash. */
export function TrashPage() {
  const { project } = useParams({ from: "/shell/p/$project/trash" });
  useTitle("Trash", useQuery(projectQuery(project)).data?.name);
  const query = useInfiniteQuery(trashQuery(project));
  const moves = useTrash(project);
  const empty = (
    <EmptyState title="The trash is empty">
      <p>Runs that are moved here leave all lists, and can be restored at any time. Their files stay in their commits.</p>
    </EmptyState>
  );
  return (
    <ListPage title="Trash" noun="run" query={query} more="Show more runs" empty={empty}>
      {(runs) => (
        <div className="panel table-scroll">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Run</th>
                <th scope="col">In the trash since</th>
                <th scope="col">
                  <span className="visually-hidden">Restore</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {runs.map((run) => (
                <tr key={run.id}>
                  <th scope="row" className="clip">
                    <Link to="/p/$project/runs/$run" params={{ project, run: run.id }} search={{}}>
                      {titleOf(run)}
                    </Link>
                  </th>
                  <td>
                    <Time at={run.deleted_at} />
                  </td>
                  <td className="row-end">
                    {moves && (
                      <button type="button" className="button" onClick={() => moves.restore([run.id])}>
                        Restore
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </ListPage>
  );
}
