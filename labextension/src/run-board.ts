/**
 * What the panel knows about runs, for the run cards in notebooks.
 *
 * A MIME renderer is given no services. It is bundled with the rest of the extension though, so that both see this module:
 * the panel writes, the cards read, and a card asks the panel to show its run.
 */

import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';

import type { RunEntry, RunState } from './api';

export class RunBoard {
  /** Emitted when the state of any run may be another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted with a run id when a person asks for its details. */
  get asked(): ISignal<this, string> {
    return this._asked;
  }

  stateOf(runId: string): RunState | undefined {
    return this._states.get(runId);
  }

  /** Remember the states of `entries`; states of other runs stay as they are. */
  post(entries: readonly RunEntry[]): void {
    const news = entries.filter(entry => this._states.get(entry.run_id) !== entry.state);
    news.forEach(entry => this._states.set(entry.run_id, entry.state));
    if (news.length > 0) {
      this._changed.emit();
    }
  }

  /** Ask for the details of a run. */
  ask(runId: string): void {
    this._asked.emit(runId);
  }

  private readonly _states = new Map<string, RunState>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _asked = new Signal<this, string>(this);
}

export const runBoard = new RunBoard();
