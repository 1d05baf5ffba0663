import type { RunRecord, Value } from "../api/types";

const NOT_FINITE = new Set(["nan", "inf", "-inf"]);

/** Whether a value reads as a number: numbers, numeric strings (the v1 wire carries only strings), nan and inf. */
export function isNumeric(value: Value | undefined): boolean {
  if (typeof value === "number") return true;
  if (typeof value !== "string" || value.trim() === "") return false;
  return NOT_FINITE.has(value.toLowerCase()) || Number.isFinite(Number(value));
}

/** A value in at most six significant digits; integers whole, so that ids and seeds stay readable. */
export function formatValue(value: Value | undefined): string {
  if (value === undefined) return "";
  if (value === null) return "None";
  if (typeof value === "number") return formatNumber(value);
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}

export function formatNumber(value: number): string {
  if (Number.isSafeInteger(value)) return String(value);
  const magnitude = Math.abs(value);
  const isExtreme = magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e9);
  if (!isExtreme) return String(Number(value.toPrecision(6)));
  return value.toExponential(4).replace(/\.?0+e/, "e").replace("e+", "e");
}

/** The value in full, for tooltips and copying. */
export function exactValue(value: Value | undefined): string {
  return typeof value === "number" ? String(value) : formatValue(value);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function formatBytes(size: number | null | undefined): string {
  if (size === null || size === undefined) return "–";
  const power = size < 1 ? 0 : Math.min(Math.floor(Math.log2(size) / 10), UNITS.length - 1);
  const scaled = size / 1024 ** power;
  const digits = power === 0 || scaled >= 100 ? 0 : 1;
  return `${scaled.toFixed(digits)} ${UNITS[power] ?? "B"}`;
}

export function formatCount(count: number, noun: string, isExact = true): string {
  const plural = count === 1 && isExact ? noun : `${noun}s`;
  return `${count.toLocaleString("en")}${isExact ? "" : "+"} ${plural}`;
}

/** Milliseconds that a run took; null while either end is unknown. */
export function durationOf(record: RunRecord): number | null {
  if (!record.started_at || !record.ended_at) return null;
  const duration_ms = Date.parse(record.ended_at) - Date.parse(record.started_at);
  return Number.isFinite(duration_ms) && duration_ms >= 0 ? duration_ms : null;
}

export function formatDuration(duration_ms: number | null): string {
  if (duration_ms === null) return "–";
  if (duration_ms < 1000) return `${Math.round(duration_ms)}ms`;
  const seconds = duration_ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${Math.floor(seconds % 60)}s`;
  return `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}

/** "3 min ago" up to a week, then the date. */
export function formatAge(time: string, now_ms: number): string {
  const then_ms = Date.parse(time);
  if (Number.isNaN(then_ms)) return time;
  const seconds = Math.max(0, (now_ms - then_ms) / 1000);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  if (seconds < 7 * 86_400) return `${Math.round(seconds / 86_400)} d ago`;
  return new Date(then_ms).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

export function formatTime(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return time;
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** Enough of a hash or UUID to tell it from its neighbours. */
export function shorten(id: string): string {
  return id.slice(0, 8);
}
