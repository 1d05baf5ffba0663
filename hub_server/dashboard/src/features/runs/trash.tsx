import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { restoreRun, trashRun } from "../../api/changes";
import { keys, projectQuery } from "../../api/queries";
import type { Run } from "../../api/types";
import { Time } from "../../components/Time";
import { useToast } from "../../components/Toasts";
import { formatCount } from "../../lib/format";

/** Moves runs to the trash and back; null for those who may not. */
export function useTrash(project: string): { trash: (runs: readonly string[]) => void; restore: (runs: readonly string[]) => void } | null {
  const client = useQueryClient();
  const toast = useToast();
  const role = useQuery(projectQuery(project)).data?.role;
  const stale = () => client.invalidateQueries({ queryKey: keys.project(project) });
  const restore = useMutation({
    mutationFn: (runs: readonly string[]) => Promise.all(runs.map((run) => restoreRun(project, run))),
    onSuccess: (_, runs) => toast({ text: `${formatCount(runs.length, "run")} restored.` }),
    onError: (error) => toast({ text: error.message }),
    onSettled: stale,
  });
  const trash = useMutation({
    mutationFn: (runs: readonly string[]) => Promise.all(runs.map((run) => trashRun(project, run))),
    onSuccess: (_, runs) =>
      toast({ text: `${formatCount(runs.length, "run")} moved to the trash.`, undo: () => restore.mutate(runs) }),
    onError: (error) => toast({ text: error.message }),
    onSettled: stale,
  });
  if (role !== "editor" && role !== "owner") return null;
  return { trash: trash.mutate, restore: restore.mutate };
}

/** Says on a run's page that the run is in the trash. */
export function InTrash({ run }: { run: Run }) {
  const moves = useTrash(run.project_id);
  if (run.deleted_at === null) return null;
  return (
    <section className="notice" data-tone="warn" aria-label="Trash">
      <p className="form-row">
        <span className="grow">
          This run is in the trash since <Time at={run.deleted_at} />. Lists, filters and traces leave it out.
        </span>
        {moves && (
          <button type="button" className="button" onClick={() => moves.restore([run.id])}>
            Restore
          </button>
        )}
      </p>
    </section>
  );
}

export function TrashButton({ run }: { run: Run }) {
  const moves = useTrash(run.project_id);
  if (!moves || run.deleted_at !== null) return null;
  return (
    <button type="button" className="button quiet" onClick={() => moves.trash([run.id])}>
      Move to trash
    </button>
  );
}
