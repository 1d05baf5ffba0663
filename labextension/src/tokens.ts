/** What other extensions may ask of this one. */

import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import type { ApiProblem, CommitResult, Preview, RunDetail, RunEntry, RunningRun, ServerStatus } from './api';

/** A list of runs, newest first, that grows on request. */
export interface RunList {
  readonly runs: readonly RunEntry[];
  readonly total: number;
  /** Those that are not published yet. */
  readonly running?: readonly RunningRun[];
}

/** The run that is shown in full; `detail` is null until it has arrived. */
export interface Selection {
  readonly runId: string;
  readonly detail: RunDetail | null;
  readonly problem: ApiProblem | null;
}

/** One moment of the model; never changed in place. */
export interface State {
  /** The contents path of the notebook in front, without drive. */
  readonly notebook: string | null;
  /** Null until the server has answered once for this folder. */
  readonly server: ServerStatus | null;
  /** Why the last refresh failed; what is shown besides may be old. */
  readonly problem: ApiProblem | null;
  readonly notebookRuns: RunList;
  readonly allRuns: RunList;
  readonly selection: Selection | null;
  /** What tracking the folder would mean; only where it is not tracked. */
  readonly preview: Preview | null;
  /** What is under way because a person asked for it. */
  readonly busy: 'commit' | 'push' | 'track' | null;
  /** How that ended. */
  readonly outcome: CommitResult | ApiProblem | null;
}

/** The tracked folder of the notebook in front, and its runs. */
export interface IDotscience {
  readonly state: State;
  readonly changed: ISignal<IDotscience, void>;

  /** Fetch everything that is shown; resolves when it has arrived, never rejects. */
  refresh(): Promise<void>;
  /** Look at another notebook and its folder. */
  setNotebook(path: string | null): void;
  /** Show a run in full, or none. */
  select(runId: string | null): Promise<void>;
  /** Load the next page of a list. */
  showMore(list: 'notebookRuns' | 'allRuns'): Promise<void>;
  /** Save and push; the outcome is in the state. */
  commit(description: string): Promise<void>;
  /** Try to reach the hub, or the committer, now. */
  push(): Promise<void>;
  /** The address of a run's page on the hub, or the project's for null, to be opened once; rejects with `ApiProblem`. */
  hubLink(runId: string | null): Promise<string>;
  /** Track the folder. */
  track(): Promise<void>;
}

export const IDotscience = new Token<IDotscience>(
  '@dotscience/jupyterlab-extension:IDotscience',
  'The tracked folder of the notebook in front, and its runs.'
);
