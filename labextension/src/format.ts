/** Values, sizes, times and links as people read them. */

import type { RunRecord, Value } from './record';

/** A value, None as in Python, in at most `most` characters; numbers with five significant digits. */
export function formatValue(value: Value, most = 60): string {
  const written = writeValue(value);
  return written.length > most ? `${written.slice(0, most - 1)}…` : written;
}

function writeValue(value: Value): string {
  if (value === null) {
    return 'None';
  }
  return typeof value === 'number' ? formatNumber(value) : typeof value === 'string' ? value : JSON.stringify(value);
}

function formatNumber(value: number): string {
  if (Number.isInteger(value) || value === 0) {
    return String(value);
  }
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(5))) : value.toExponential(3);
}

/** Whether a value reads as a number, so that columns of them line up. */
export function isNumeric(value: Value): boolean {
  return typeof value === 'number' || (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value)));
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Bytes in decimal units, as file managers show them. */
export function formatSize(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const number = bytes / 1000 ** power;
  return `${power === 0 || number >= 100 ? Math.round(number) : number.toFixed(1)} ${UNITS[power] ?? 'B'}`;
}

/** A local time: only the clock for today, with the date for other days; empty for what is not a time. */
export function formatTime(time: string | null, now = new Date()): string {
  const date = new Date(time ?? '');
  if (Number.isNaN(date.getTime())) {
    return '';
  }
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':');
  return date.toDateString() === now.toDateString() ? clock : `${formatDay(date)} ${clock}`;
}

function formatDay(date: Date): string {
  return `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, '0');
}

/** How long a run took; empty where that is not known. */
export function formatDuration(record: RunRecord): string {
  const seconds = (Date.parse(record.endedAt ?? '') - Date.parse(record.startedAt ?? '')) / 1000;
  if (!(seconds >= 0)) {
    return '';
  }
  if (seconds < 1) {
    return seconds < 0.0005 ? '< 1 ms' : `${Math.round(seconds * 1000)} ms`;
  }
  if (seconds < 60) {
    return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  }
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The first eight characters of an id or hash. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** `url` where a link may lead there, else undefined: a workspace's files can name any hub, even `javascript:`. */
export function safeUrl(url: string | null | undefined): string | undefined {
  try {
    return url && ['http:', 'https:'].includes(new URL(url).protocol) ? url : undefined;
  } catch {
    return undefined;
  }
}

/** Whether an address is one of this machine's own (RFC 6890), as far as its text tells. */
export function isOnThisMachine(url: string): boolean {
  const { hostname } = new URL(url);
  return ['localhost', '[::1]'].includes(hostname) || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** Whether two addresses belong to the same server. */
export function sameOrigin(one: string, other: string): boolean {
  return new URL(one).origin === new URL(other).origin;
}
