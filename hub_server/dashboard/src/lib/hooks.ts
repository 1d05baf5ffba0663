import { useEffect, useState, useSyncExternalStore } from "react";

const TICK_MS = 20_000;
let now_ms = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (listeners.size === 1) now_ms = Date.now();
  timer ??= setInterval(() => {
    now_ms = Date.now();
    for (const notify of listeners) notify();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** The time in milliseconds, renewed every 20 seconds by one timer for the whole page. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now_ms);
}

/** True once `active` has lasted for `delay_ms`: fast answers must not flash a skeleton. */
export function useDelayed(active: boolean, delay_ms = 150): boolean {
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    if (!active) return;
    const handle = setTimeout(() => setOver(true), delay_ms);
    return () => {
      clearTimeout(handle);
      setOver(false);
    };
  }, [active, delay_ms]);
  return active && isOver;
}

/** `data`, or while there is none, the last that there was for the same `owner`. */
export function useLast<T>(data: T | undefined, owner: string): T | undefined {
  const [last, setLast] = useState({ data, owner });
  if (data !== undefined && (data !== last.data || owner !== last.owner)) setLast({ data, owner });
  return data ?? (last.owner === owner ? last.data : undefined);
}

/** Names the tab after the page while it is shown. */
export function useTitle(...parts: (string | undefined)[]): void {
  const title = [...parts.filter(Boolean), "Dotscience"].join(" · ");
  useEffect(() => {
    document.title = title;
  }, [title]);
}
