/** What a reader has chosen for a project's table, kept in this browser: by account, since browsers are shared. */

import { useMemo, useSyncExternalStore } from "react";

const PREFIX = "dotscience.columns";
const listeners = new Set<() => void>();

interface Remembered {
  /** The columns that were chosen last; undefined where none were, or where what is kept makes no sense. */
  columns: string[] | undefined;
  remember: (columns: readonly string[] | undefined) => void;
}

export function useRememberedColumns(account: string, project: string): Remembered {
  const key = [PREFIX, account, project].join(".");
  const kept = useSyncExternalStore(subscribe, () => read(key));
  const columns = useMemo(() => parse(kept), [kept]);
  const remember = (chosen: readonly string[] | undefined) => {
    write(key, chosen);
    for (const notify of listeners) notify();
  };
  return { columns, remember };
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** A browser may be told to keep nothing; the address bar has the columns then, too. */
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, columns: readonly string[] | undefined): void {
  try {
    if (columns === undefined) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(columns));
  } catch {
    // as in `read`
  }
}

function parse(kept: string | null): string[] | undefined {
  try {
    const columns: unknown = JSON.parse(kept ?? "null");
    return Array.isArray(columns) ? columns.filter((column) => typeof column === "string") : undefined;
  } catch {
    return undefined;
  }
}
