import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";

import { restoreProject } from "../../api/changes";
import { keys, trashedProjectsQuery } from "../../api/queries";
import { FormError } from "../../components/FormError";
import { ListPage } from "../../components/ListPage";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";
import { useTitle } from "../../lib/hooks";

/** The reader's projects that were moved to the trash. */
export function ProjectTrashPage() {
  useTitle("Trash");
  const client = useQueryClient();
  const query = useInfiniteQuery(trashedProjectsQuery());
  const restore = useMutation({
    mutationFn: restoreProject,
    onSettled: () => client.invalidateQueries({ queryKey: keys.projects }),
  });
  return (
    <ListPage
      title="Trash"
      noun="project"
      query={query}
      more="Show more projects"
      empty={<EmptyState title="The trash is empty" />}
    >
      {(projects) => (
        <>
          <FormError error={restore.error} />
          <div className="panel table-scroll">
            <table className="table">
              <tbody>
                {projects.map((project) => (
                  <tr key={project.id}>
                    <th scope="row">{project.name}</th>
                    <td className="muted">
                      made <Time at={project.created_at} />
                    </td>
                    <td className="row-end">
                      <button type="button" className="button" onClick={() => restore.mutate(project.id)}>
                        Restore
                      </button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </ListPage>
  );
}
