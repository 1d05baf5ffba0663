import { useEffect, useState } from "react";

import { Icon } from "./Icon";

const SHOWN_MS = 1500;

/** Copies `text`; `what` names it ("run id"). */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [outcome, setOutcome] = useState<"copied" | "failed" | null>(null);
  useEffect(() => {
    if (outcome === null) return;
    const handle = setTimeout(() => setOutcome(null), SHOWN_MS);
    return () => clearTimeout(handle);
  }, [outcome]);
  const copy = async () => setOutcome((await writeClipboard(text)) ? "copied" : "failed");
  const label = outcome === null ? `Copy ${what}` : outcome === "copied" ? "Copied" : "Copying was refused";
  return (
    <button type="button" className="icon-button small" title={label} onClick={() => void copy()}>
      <Icon name={outcome === null ? "copy" : outcome === "copied" ? "check" : "cross"} />
      <span className="visually-hidden" aria-live="polite">
        {label}
      </span>
    </button>
  );
}

/** The clipboard exists on https and on localhost only, and a browser may ask. */
async function writeClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
