/**
 * A run as its code published it, in the field names of `dotscience/record.py`.
 *
 * Records come out of notebooks, which anybody can write: `readRecord` accepts any value and gives every field its type.
 */

export const RUN_MIME = 'application/vnd.dotscience.run.v1+json';

export type Value = null | boolean | number | string | Value[] | { [name: string]: Value };
export type Authority = 'workload' | 'derived' | 'correction' | 'remote';
export type Values = Readonly<Record<string, Value>>;

export interface FileRef {
  readonly path: string;
  readonly size: number | null;
  readonly missing: boolean;
  readonly outside: boolean;
  readonly changed: boolean;
  /** A later run wrote another content before the snapshot was taken. */
  readonly overwritten: boolean;
}

export interface ModelArtefact {
  readonly name: string;
  readonly type: string;
  /** That of the framework. */
  readonly version: string | null;
}

export interface RunRecord {
  readonly runId: string;
  readonly authority: Authority;
  readonly description: string | null;
  readonly error: string | null;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly workloadFile: string | null;
  readonly parameters: Values;
  readonly summary: Values;
  readonly labels: Values;
  readonly inputs: readonly FileRef[];
  readonly outputs: readonly FileRef[];
  readonly models: readonly ModelArtefact[];
  readonly notebookStale: boolean;
  readonly warnings: readonly string[];
}

const AUTHORITIES: readonly string[] = ['workload', 'derived', 'correction', 'remote'];

/** The record in `value`; what is missing or has another type becomes empty. */
export function readRecord(value: unknown): RunRecord {
  const record = fields(value);
  const authority = text(record['authority']);
  return {
    runId: text(record['run_id']) ?? '',
    authority: AUTHORITIES.includes(authority ?? '') ? (authority as Authority) : 'workload',
    description: text(record['description']),
    error: text(record['error']),
    startedAt: text(record['started_at']),
    endedAt: text(record['ended_at']),
    workloadFile: text(record['workload_file']),
    parameters: readValues(record['parameters']),
    summary: readValues(record['summary']),
    labels: readValues(record['labels']),
    inputs: list(record['inputs']).map(readFile),
    outputs: list(record['outputs']).map(readFile),
    models: list(record['models']).map(readModel),
    notebookStale: record['notebook_stale'] === true,
    warnings: list(record['warnings']).flatMap(warning => text(warning) ?? [])
  };
}

function readFile(value: unknown): FileRef {
  const file = fields(value);
  return {
    path: text(file['path']) ?? '',
    size: typeof file['size'] === 'number' ? file['size'] : null,
    missing: file['missing'] === true,
    outside: file['outside'] === true,
    changed: file['changed_after_read'] === true,
    overwritten: file['overwritten'] === true
  };
}

function readModel(value: unknown): ModelArtefact {
  const model = fields(value);
  return { name: text(model['name']) ?? '', type: text(model['type']) ?? '', version: text(model['version']) };
}

/** The properties of an object; an empty object for everything else. */
export function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** Values by name; none where `value` is no object. */
export function readValues(value: unknown): Values {
  return fields(value) as Values;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
