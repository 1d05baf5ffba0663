import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const STORAGE_KEY = "dotscience.theme";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const listeners = new Set<() => void>();

export function storedTheme(): Theme {
  const stored = localStorage.getItem(STORAGE_KEY);
  return stored === "light" || stored === "dark" ? stored : "system";
}

/** Sets the attribute that `tokens.css` switches `color-scheme` by. */
export function applyTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
}

export function useTheme(): { theme: Theme; cycle: () => void } {
  const theme = useSyncExternalStore(subscribe, storedTheme);
  const cycle = () => {
    localStorage.setItem(STORAGE_KEY, NEXT[theme]);
    applyTheme(NEXT[theme]);
    for (const notify of listeners) notify();
  };
  return { theme, cycle };
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
