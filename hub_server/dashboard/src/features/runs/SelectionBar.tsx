import { useNavigate } from "@tanstack/react-router";

import { Icon } from "../../components/Icon";
import { useShortcuts } from "../../lib/shortcuts";
import { useTrash } from "./trash";

interface Props {
  project: string;
  selected: readonly string[];
  clear: () => void;
}

const MOST_COMPARED = 50;

/** What can be done with the runs that are selected in the table. */
export function SelectionBar({ project, selected, clear }: Props) {
  const navigate = useNavigate();
  const moves = useTrash(project);
  const canCompare = selected.length > 1 && selected.length <= MOST_COMPARED;
  const compare = () => {
    if (canCompare) void navigate({ to: "/p/$project/compare", params: { project }, search: { runs: [...selected] } });
  };
  useShortcuts([{ key: "c", description: "Compare the selected runs", run: compare }]);
  if (selected.length === 0) return null;
  return (
    <span className="selection" role="group" aria-label="Selected runs">
      <span>{selected.length} selected</span>
      <button type="button" className="button" disabled={!canCompare} title="2 to 50 runs" onClick={compare}>
        Compare
      </button>
      {moves && (
        <button
          type="button"
          className="button"
          onClick={() => {
            moves.trash(selected);
            clear();
          }}
        >
          Move to trash
        </button>
      )}
      <button type="button" className="icon-button small" aria-label="Select none" title="Select none" onClick={clear}>
        <Icon name="cross" />
      </button>
    </span>
  );
}
