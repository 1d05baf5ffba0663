/** Things that tests are about, complete, with what matters overridden. */

import type { CommitterStatus, RunDetail, RunEntry, ServerStatus } from '../src/api';
import { readRecord } from '../src/record';

export function committerStatus(news: Partial<CommitterStatus> = {}): CommitterStatus {
  return {
    state: 'watching',
    message: 'Everything is pushed',
    error: null,
    hub: { url: 'http://127.0.0.1:8800', project_id: 'p1', project_name: 'churn', unreachable_since: null },
    head: null,
    head_at: null,
    pushed: 3,
    unpushed: 0,
    push_total: 3,
    runs: 2,
    pending_runs: 0,
    earlier_runs: 0,
    consistency: 'stable',
    ...news
  };
}

export function serverStatus(news: Partial<ServerStatus> = {}): ServerStatus {
  return { tracked: true, root: '/w', version: '1.0.0', committer: committerStatus(), error: null, ...news };
}

let made = 0;

/** An entry as the server sends it: `record` has the field names of the wire, and may have any shape. */
export type RawEntry = Omit<RunEntry, 'record'> & { readonly record: object };

export function rawEntry(record: object = {}, news: Partial<Omit<RunEntry, 'record'>> = {}): RawEntry {
  made += 1;
  const runId = `00000000-0000-4000-8000-${String(made).padStart(12, '0')}`;
  return {
    seq: made,
    run_id: runId,
    state: 'pushed',
    record: { run_id: runId, started_at: '2026-01-02T03:04:05Z', ...record },
    notebook: 'a.ipynb',
    commit: 'c'.repeat(64),
    noticed_at: '2026-01-02T03:04:06Z',
    hub_url: null,
    ...news
  };
}

/** The same as the rest of the code sees it. */
export function entry(record: object = {}, news: Partial<Omit<RunEntry, 'record'>> = {}): RunEntry {
  const raw = rawEntry(record, news);
  return { ...raw, record: readRecord(raw.record) };
}

export function detail(record: object = {}, news: Partial<RunDetail> = {}): RunDetail {
  return { ...entry(record), environment: null, ...news };
}
