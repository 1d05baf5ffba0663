/** The server extension's HTTP API, typed. See docs/design/interfaces.md, sections 2 and 3. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { fields, readRecord, readValues } from './record';
import type { RunRecord, Values } from './record';

export type CommitterState =
  | 'starting'
  | 'watching'
  | 'snapshotting'
  | 'committed'
  | 'pushing'
  | 'pushed'
  | 'unreachable'
  | 'error';
export type RunState = 'pending' | 'committed' | 'pushed' | 'earlier';

export interface CommitterProblem {
  readonly type: string;
  readonly detail: string;
  readonly hint: string;
  readonly notebook: string | null;
}

export interface CommitterStatus {
  readonly state: CommitterState;
  readonly message: string;
  /** The most severe of the problems. */
  readonly error: CommitterProblem | null;
  /** All of them, the most severe first; committers of earlier versions leave them out. */
  readonly problems?: readonly CommitterProblem[];
  readonly hub: { url: string; project_id: string; project_name: string; unreachable_since: string | null } | null;
  readonly head: string | null;
  readonly head_at: string | null;
  readonly pushed: number;
  readonly unpushed: number;
  readonly push_total: number;
  /** Bytes of the packs that are being sent; 0, or missing from earlier committers, while none are. */
  readonly push_bytes_done?: number;
  readonly push_bytes_total?: number;
  readonly runs: number;
  readonly pending_runs: number;
  readonly earlier_runs: number;
  readonly consistency: string;
}

/** `committer` and `error` are both null while a committer starts. */
export interface ServerStatus {
  readonly tracked: boolean;
  readonly root: string | null;
  readonly version: string;
  readonly committer: CommitterStatus | null;
  readonly error: string | null;
}

export interface RunEntry {
  readonly seq: number;
  readonly run_id: string;
  readonly state: RunState;
  readonly record: RunRecord;
  readonly notebook: string | null;
  readonly commit: string | null;
  readonly noticed_at: string;
  readonly hub_url: string | null;
}

export interface Environment {
  readonly python: string;
  readonly platform: string;
  readonly hostname: string;
  readonly cpu: string | null;
  readonly cpu_count: number | null;
  readonly ram_bytes: number | null;
  readonly gpus: readonly string[];
  readonly git_commit: string | null;
  readonly git_dirty: boolean | null;
  readonly packages: Readonly<Record<string, string>>;
}

export type RunDetail = RunEntry & { readonly environment: Environment | null };

/** A run that is not published yet. */
export interface RunningRun {
  readonly run_id: string;
  readonly record: RunRecord;
  /** The last values of its metrics. */
  readonly latest: Values;
}

export interface RunPage {
  /** Only on the first page of all runs; earlier committers leave it out. */
  readonly running?: readonly RunningRun[];
  readonly runs: readonly RunEntry[];
  readonly next_before: number | null;
  readonly total: number;
}

export interface CommitResult {
  readonly commit: string;
  readonly files: number;
  readonly new_bytes: number;
  readonly runs: readonly string[];
}

export interface Preview {
  readonly root: string;
  readonly files: number;
  readonly size: number;
  readonly more: boolean;
  readonly refused: string | null;
}

/** What the server said when it could not do as asked, or why there was no answer. */
export class ApiProblem extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string
  ) {
    super(message);
  }
}

/** Calls the server extension; `path` is always the contents path of a folder. Every call throws `ApiProblem` only. */
export class DotscienceApi {
  constructor(private readonly settings: ServerConnection.ISettings = ServerConnection.makeSettings()) {}

  status(path: string): Promise<ServerStatus> {
    return this.call('GET', 'status', { path });
  }

  async runs(path: string, query: { notebook?: string; limit: number; before?: number }): Promise<RunPage> {
    const page = await this.call<RunPage>('GET', 'runs', { path, ...query });
    const running = (page.running ?? []).map(run => ({ ...run, record: readRecord(run.record), latest: readValues(run.latest) }));
    return { ...page, running, runs: page.runs.map(withRecord) };
  }

  async run(path: string, runId: string): Promise<RunDetail> {
    return withRecord(await this.call<RunDetail>('GET', `runs/${encodeURIComponent(runId)}`, { path }));
  }

  commit(path: string, description: string): Promise<CommitResult> {
    return this.call('POST', 'commits', { path }, { description });
  }

  async push(path: string): Promise<void> {
    await this.call('POST', 'push', { path }, {});
  }

  /** The address of a run's page, or the project's for null; it signs this browser in where the hub is this user's own. */
  async hubLink(path: string, runId: string | null): Promise<string> {
    const { url } = await this.call<{ url: string }>('POST', 'hub-link', { path }, { run_id: runId });
    return url;
  }

  preview(path: string): Promise<Preview> {
    return this.call('GET', 'tracking', { path });
  }

  track(path: string): Promise<ServerStatus> {
    return this.call('POST', 'tracking', {}, { path });
  }

  private async call<T>(
    method: 'GET' | 'POST',
    name: string,
    query: Readonly<Record<string, string | number>>,
    body?: unknown
  ): Promise<T> {
    const words = Object.fromEntries(Object.entries(query).map(([key, value]) => [key, String(value)]));
    const url = URLExt.join(this.settings.baseUrl, 'dotscience/api', name) + URLExt.objectToQueryString(words);
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await ServerConnection.makeRequest(url, init, this.settings).catch((error: unknown) => {
      throw new ApiProblem('server-unreachable', String(error), '');
    });
    const document: unknown = await response.json().catch(() => null);
    if (!response.ok) {
      throw problemOf(response, document);
    }
    return document as T;
  }
}

/** The problem document in an answer, or the best that can be said of one without. */
function problemOf(response: Response, document: unknown): ApiProblem {
  const { code, message, hint } = fields(document);
  return new ApiProblem(
    String(code ?? `status-${response.status}`),
    String(message ?? response.statusText),
    String(hint ?? '')
  );
}

function withRecord<E extends RunEntry>(entry: E): E {
  return { ...entry, record: readRecord(entry.record) };
}
