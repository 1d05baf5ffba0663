import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { changeRun, type RunChange } from "../../api/changes";
import { HubError } from "../../api/problem";
import { keys, projectQuery } from "../../api/queries";
import type { Run } from "../../api/types";
import { FormError } from "../../components/FormError";
import { Panel } from "../../components/Panel";

/** What people say about a run: its name, tags and notes. Those who may not change them see what there is. */
export function SaidPanel({ run }: { run: Run }) {
  const [isEditing, setEditing] = useState(false);
  const role = useQuery(projectQuery(run.project_id)).data?.role;
  const mayEdit = role === "editor" || role === "owner";
  const isEmpty = !run.name && run.tags.length === 0 && !run.notes;
  if (isEmpty && !mayEdit) return null;
  const edit = (
    <button type="button" className="button quiet" onClick={() => setEditing(true)}>
      Edit
    </button>
  );
  return (
    <Panel title="Notes" aside={mayEdit && !isEditing ? edit : undefined}>
      {isEditing ? (
        <SaidForm run={run} close={() => setEditing(false)} />
      ) : isEmpty ? (
        <p className="panel-empty">No name, tags or notes yet.</p>
      ) : (
        <div className="padded said">
          <TagList tags={run.tags} />
          {run.notes && <p className="notes">{run.notes}</p>}
        </div>
      )}
    </Panel>
  );
}

export function TagList({ tags }: { tags: readonly string[] }) {
  if (tags.length === 0) return null;
  return (
    <ul className="tags" aria-label="Tags">
      {tags.map((tag) => (
        <li key={tag} className="tag">
          {tag}
        </li>
      ))}
    </ul>
  );
}

function SaidForm({ run, close }: { run: Run; close: () => void }) {
  const client = useQueryClient();
  const change = useMutation({
    mutationFn: (wanted: RunChange) => changeRun(run, wanted),
    onSuccess: close,
    onSettled: () => {
      void client.invalidateQueries({ queryKey: keys.run(run.project_id, run.id) });
      void client.invalidateQueries({ queryKey: keys.runs(run.project_id) });
      void client.invalidateQueries({ queryKey: keys.columns(run.project_id) });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const entered = new FormData(event.currentTarget);
    const tags = String(entered.get("tags")).split(",").map((tag) => tag.trim());
    change.mutate({
      name: String(entered.get("name")).trim(),
      tags: tags.filter(Boolean),
      notes: String(entered.get("notes")),
    });
  };
  return (
    <form className="form padded" onSubmit={submit}>
      <label>
        Name
        <input className="input" name="name" defaultValue={run.name} maxLength={200} autoFocus />
      </label>
      <label>
        Tags, with commas between them
        <input className="input" name="tags" defaultValue={run.tags.join(", ")} />
      </label>
      <label>
        Notes
        <textarea className="input" name="notes" defaultValue={run.notes} rows={5} />
      </label>
      <FormError error={explained(change.error)} />
      <p className="form-row">
        <button type="submit" className="button primary" disabled={change.isPending}>
          Save
        </button>
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
      </p>
    </form>
  );
}

/** What the reader has typed is still there; the run has been read again by now. */
function explained(error: Error | null): Error | null {
  if (!(error instanceof HubError) || error.status !== 412) return error;
  return new Error("Somebody else has changed this run just now. Save again to replace what they wrote, or cancel to see it.");
}
