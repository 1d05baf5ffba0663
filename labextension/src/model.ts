/** The state behind panel, status bar and cards: fetched whole, so that it is true after every refresh. */

import { PathExt } from '@jupyterlab/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';

import { ApiProblem } from './api';
import type { CommitResult, DotscienceApi, RunEntry, RunningRun, ServerStatus } from './api';
import type { RunBoard } from './run-board';
import type { IDotscience, RunList, State } from './tokens';

export const PAGE = 50;
const LARGEST_REQUEST = 200;
const POLL_INTERVAL_MS = 30_000;
const NO_RUNS: RunList = { runs: [], total: 0 };

const FIRST_STATE: State = {
  notebook: null,
  server: null,
  problem: null,
  notebookRuns: NO_RUNS,
  allRuns: NO_RUNS,
  selection: null,
  preview: null,
  busy: null,
  outcome: null
};

type ListName = 'notebookRuns' | 'allRuns';

export interface ModelOptions {
  readonly api: DotscienceApi;
  readonly board: RunBoard;
  /** Saves what people see before a commit is taken. */
  readonly saveNotebooks: () => Promise<void>;
}

/**
 * Events are only a reason to refresh, and refreshes never overlap: one that is asked for while another runs follows it.
 * So a burst of events costs two refreshes, and an answer that arrives late never replaces a newer one.
 */
export class DotscienceModel implements IDotscience, IDisposable {
  constructor(private readonly options: ModelOptions) {
    this._poll = new Poll({
      name: '@dotscience/jupyterlab-extension:model',
      auto: false,
      factory: () => this.refresh(),
      frequency: { interval: POLL_INTERVAL_MS, backoff: false },
      standby: 'when-hidden'
    });
  }

  get state(): State {
    return this._state;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  /** Refresh now and then: a fallback, since the event socket replays nothing after a reconnect. */
  start(): void {
    void this._poll.start();
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  setNotebook(path: string | null): void {
    if (path === this._state.notebook) {
      return;
    }
    const moved = folderOf(path) !== this.folder;
    this.set({ notebook: path, notebookRuns: NO_RUNS });
    if (moved) {
      this.set({ server: null, allRuns: NO_RUNS, preview: null, selection: null, outcome: null });
      this._wanted.allRuns = PAGE;
    }
    this._wanted.notebookRuns = PAGE;
    void this.refresh();
  }

  refresh(): Promise<void> {
    this._next ??= this._running.then(() => {
      this._next = null;
      return this.fetchAll();
    });
    this._running = this._next;
    return this._next;
  }

  async showMore(list: ListName): Promise<void> {
    this._wanted[list] += PAGE;
    await this.refresh();
  }

  async select(runId: string | null): Promise<void> {
    this.set({ selection: runId === null ? null : { runId, detail: this.known(runId), problem: null } });
    await this.fetchSelection();
  }

  async commit(description: string): Promise<void> {
    await this.act('commit', async () => {
      await this.options.saveNotebooks();
      return this.options.api.commit(this.folder, description);
    });
  }

  async push(): Promise<void> {
    await this.act('push', () => this.options.api.push(this.folder));
  }

  hubLink(runId: string | null): Promise<string> {
    return this.options.api.hubLink(this.folder, runId);
  }

  async track(): Promise<void> {
    await this.act('track', async () => this.set({ server: await this.options.api.track(this.folder), preview: null }));
  }

  private get folder(): string {
    return folderOf(this._state.notebook);
  }

  /** Do what a person asked for, once at a time; its outcome stays until the next. */
  private async act(busy: NonNullable<State['busy']>, action: () => Promise<CommitResult | void>): Promise<void> {
    if (this._state.busy !== null) {
      return;
    }
    this.set({ busy, outcome: null });
    const outcome = await action().catch(asProblem);
    this.set({ busy: null, outcome: outcome ?? null });
    await this.refresh();
  }

  private async fetchAll(): Promise<void> {
    const { notebook } = this._state;
    const folder = this.folder;
    try {
      const server = await this.options.api.status(folder);
      const news = server.tracked ? await this.fetchRuns(server, folder, notebook) : await this.fetchPreview(folder);
      if (notebook === this._state.notebook) {
        this.set({ server, problem: null, ...news });
      }
    } catch (error) {
      this.set({ problem: asProblem(error) });
    }
    await this.fetchSelection();
  }

  private async fetchRuns(server: ServerStatus, folder: string, notebook: string | null): Promise<Partial<State>> {
    if (server.committer === null) {
      return { preview: null };
    }
    const [allRuns, notebookRuns] = await Promise.all([
      this.fetchList(folder, this._wanted.allRuns),
      notebook === null ? NO_RUNS : this.fetchList(folder, this._wanted.notebookRuns, notebook)
    ]);
    this.options.board.post([...allRuns.runs, ...notebookRuns.runs]);
    return { allRuns, notebookRuns, preview: null };
  }

  private async fetchPreview(folder: string): Promise<Partial<State>> {
    const preview = this._state.preview ?? (await this.options.api.preview(folder));
    return { preview, allRuns: NO_RUNS, notebookRuns: NO_RUNS, selection: null };
  }

  /** The newest `wanted` runs, in as many requests as that takes. */
  private async fetchList(folder: string, wanted: number, notebook?: string): Promise<RunList> {
    const runs: RunEntry[] = [];
    const running: RunningRun[] = [];
    let before: number | null = null;
    for (;;) {
      const query = {
        limit: Math.min(wanted - runs.length, LARGEST_REQUEST),
        ...(notebook === undefined ? {} : { notebook }),
        ...(before === null ? {} : { before })
      };
      const page = await this.options.api.runs(folder, query);
      runs.push(...page.runs);
      running.push(...(page.running ?? []));
      before = page.next_before;
      if (before === null || page.runs.length === 0 || runs.length >= wanted) {
        return { runs, running, total: page.total };
      }
    }
  }

  private async fetchSelection(): Promise<void> {
    const runId = this._state.selection?.runId;
    if (runId === undefined) {
      return;
    }
    const answer = await this.options.api.run(this.folder, runId).catch(asProblem);
    if (this._state.selection?.runId === runId) {
      const failed = answer instanceof ApiProblem;
      this.set({
        selection: {
          runId,
          detail: failed ? this._state.selection.detail : answer,
          problem: failed ? answer : null
        }
      });
    }
  }

  /** What the lists already say of a run, to show until the server answers. */
  private known(runId: string): (RunEntry & { environment: null }) | null {
    const { notebookRuns, allRuns } = this._state;
    const entry = [...notebookRuns.runs, ...allRuns.runs].find(candidate => candidate.run_id === runId);
    return entry ? { ...entry, environment: null } : null;
  }

  private set(news: Partial<State>): void {
    if (!this.isDisposed) {
      this._state = { ...this._state, ...news };
      this._changed.emit();
    }
  }

  private _state = FIRST_STATE;
  private _next: Promise<void> | null = null;
  private _running: Promise<void> = Promise.resolve();
  private readonly _wanted: Record<ListName, number> = { notebookRuns: PAGE, allRuns: PAGE };
  private readonly _changed = new Signal<this, void>(this);
  private readonly _poll: Poll;
}

function folderOf(notebook: string | null): string {
  return notebook === null ? '' : PathExt.dirname(notebook);
}

function asProblem(error: unknown): ApiProblem {
  return error instanceof ApiProblem ? error : new ApiProblem('unexpected', String(error), '');
}
