import { useEffect, useRef, useState } from "react";

import { Icon } from "../../components/Icon";
import type { Column, Group } from "./columns";

interface Props {
  columns: readonly Column[];
  shown: readonly string[];
  toggle: (id: string) => void;
  /** Back to the columns that a table starts with. */
  reset: (() => void) | null;
}

const GROUPS: readonly Group[] = ["Run", "Metrics", "Parameters", "Labels"];

export function ColumnPicker({ columns, shown, toggle, reset }: Props) {
  const details = useRef<HTMLDetailsElement>(null);
  useClosing(details);
  const [filter, setFilter] = useState("");
  const wanted = filter.trim().toLowerCase();
  const found = columns.filter((column) => column.title.toLowerCase().includes(wanted));
  return (
    <details className="menu" ref={details}>
      <summary className="button">
        <Icon name="columns" /> Columns
      </summary>
      <div className="menu-body">
        <input
          type="search"
          className="input"
          placeholder="Find a column"
          aria-label="Find a column"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
        />
        <div className="menu-scroll">
          {GROUPS.map((group) => (
            <PickerGroup key={group} group={group} columns={found} shown={shown} toggle={toggle} />
          ))}
          {found.length === 0 && <p className="muted">No column has that name.</p>}
        </div>
        {reset && (
          <button type="button" className="button quiet" onClick={reset}>
            Show the default columns
          </button>
        )}
      </div>
    </details>
  );
}

function PickerGroup({ group, columns, shown, toggle }: { group: Group } & Omit<Props, "reset">) {
  const members = columns.filter((column) => column.group === group);
  if (members.length === 0) return null;
  return (
    <fieldset className="picker-group">
      <legend>{group}</legend>
      {members.map((column) => (
        <label key={column.id}>
          <input type="checkbox" checked={shown.includes(column.id)} onChange={() => toggle(column.id)} />
          <span>{column.title}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** A menu closes on Escape, which gives the focus back, and on a click elsewhere. */
function useClosing(details: { current: HTMLDetailsElement | null }): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || !details.current?.open) return;
      details.current.open = false;
      details.current.querySelector("summary")?.focus();
    };
    const onPointer = (event: PointerEvent) => {
      const isOutside = event.target instanceof Node && !details.current?.contains(event.target);
      if (isOutside && details.current) details.current.open = false;
    };
    document.addEventListener("keydown", onKey);
    document.addEventListener("pointerdown", onPointer);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("pointerdown", onPointer);
    };
  }, [details]);
}
