import { useRef } from "react";

import { useListedShortcuts, useShortcuts } from "../lib/shortcuts";
import { Icon } from "./Icon";

/** The list of the shortcuts of this page, behind `?` and a button. */
export function ShortcutHelp() {
  const dialog = useRef<HTMLDialogElement>(null);
  const listed = useListedShortcuts();
  const open = () => dialog.current?.showModal();
  useShortcuts([{ key: "?", description: "Show these shortcuts", run: open }]);
  return (
    <>
      <button type="button" className="icon-button" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={open}>
        <Icon name="keyboard" />
      </button>
      <dialog ref={dialog} className="dialog" aria-label="Keyboard shortcuts">
        <h2>Keyboard shortcuts</h2>
        <dl className="shortcuts">
          {listed.map(({ key, description }) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{description}</dd>
            </div>
          ))}
        </dl>
        <form method="dialog">
          <button className="button">Close</button>
        </form>
      </dialog>
    </>
  );
}
