/**
 * Keyboard shortcuts: components register theirs while they are mounted, and the list behind `?` shows exactly those.
 */

import { createContext, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";

export interface Shortcut {
  key: string;
  description: string;
  /** Null for what the browser itself does with the key; such a shortcut is only listed. */
  run: (() => void) | null;
}

type Listed = Pick<Shortcut, "key" | "description">;

interface Registry {
  add: (shortcuts: Listed[]) => () => void;
  listed: Listed[];
}

const ShortcutContext = createContext<Registry>({ add: () => () => undefined, listed: [] });

export function ShortcutProvider({ children }: { children: ReactNode }) {
  const [groups, setGroups] = useState<readonly Listed[][]>([]);
  const registry = useMemo<Registry>(
    () => ({
      listed: groups.flat(),
      add: (shortcuts) => {
        setGroups((before) => [...before, shortcuts]);
        return () => setGroups((before) => before.filter((group) => group !== shortcuts));
      },
    }),
    [groups],
  );
  return <ShortcutContext value={registry}>{children}</ShortcutContext>;
}

export function useListedShortcuts(): Listed[] {
  return useContext(ShortcutContext).listed;
}

/** Registers shortcuts for as long as the component is mounted. Keys and descriptions must not change meanwhile. */
export function useShortcuts(shortcuts: Shortcut[]): void {
  const { add } = useContext(ShortcutContext);
  const latest = useRef(shortcuts);
  const addRef = useRef(add);
  useEffect(() => {
    latest.current = shortcuts;
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent) => {
      const shortcut = isForPage(event) ? latest.current.find(({ key }) => key === event.key) : undefined;
      if (!shortcut?.run) return;
      event.preventDefault();
      shortcut.run();
    };
    window.addEventListener("keydown", listener);
    const remove = addRef.current(latest.current.map(({ key, description }) => ({ key, description })));
    return () => {
      window.removeEventListener("keydown", listener);
      remove();
    };
  }, []);
}

/** Keys typed into a field or a dialog, and those of the browser, are not ours. */
function isForPage(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
  return !(event.target instanceof Element && event.target.closest("input, textarea, select, dialog"));
}
