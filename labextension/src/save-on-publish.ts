/**
 * Saves a notebook when a run arrives in its outputs, so that the commit holds the notebook as it was.
 *
 * Only outputs that arrive while the notebook is open count: those it was loaded with were saved before. A shared
 * document (jupyter-collaboration, jupyter-server-documents) is the server's to save, which it does by itself.
 */

import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { INotebookModel } from '@jupyterlab/notebook';
import { Throttler } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';

import { RUN_MIME } from './record';

/** Runs that are published together become one save, which a loop that publishes without end cannot put off. */
const INTERVAL_MS = 500;
const MARKER = '[[DOTSCIENCE-RUN:';

type Context = DocumentRegistry.IContext<INotebookModel>;

/** The part of a code cell's model that is used here. */
interface CellWithOutputs {
  readonly outputs: {
    readonly changed: ISignal<unknown, { readonly type: string; readonly newValues: readonly Output[] }>;
  };
}

interface Output {
  readonly data: Readonly<Record<string, unknown>>;
}

const followed = new WeakSet<Context>();

/** Watch one notebook until it is closed, whatever number of views it has; `enabled` is asked each time. */
export function saveOnPublish(context: Context, enabled: () => boolean): void {
  if (followed.has(context)) {
    return;
  }
  followed.add(context);
  // A save compares the file with what the last one left. JupyterLab starts saves without waiting for those in flight,
  // and would take ours for somebody else's change of the file ("File Changed") when a person saves at the same moment.
  context.save = oneAtATime(context.save.bind(context));
  void context.ready.then(() => {
    if (!context.isDisposed && !context.model.collaborative) {
      follow(context, enabled);
    }
  });
}

/**
 * `action`, started only when its last call has ended, well or not. Calls that wait at the same time share the next
 * one: it begins after all of them, so it does what each of them asked for.
 */
export function oneAtATime(action: () => Promise<void>): () => Promise<void> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<void> | null = null;
  return () => {
    next ??= running.then(() => {
      next = null;
      const started = action();
      running = started.catch(() => undefined);
      return started;
    });
    return next;
  };
}

function follow(context: Context, enabled: () => boolean): void {
  let unsaved = false;
  const throttler = new Throttler(
    async () => {
      if (unsaved && !context.isDisposed && context.contentsModel?.writable !== false) {
        await context.save().catch(() => undefined); // JupyterLab has shown the person what failed
      }
    },
    { limit: INTERVAL_MS, edge: 'trailing' }
  );
  context.disposed.connect(() => throttler.dispose());
  context.saveState.connect((_, state) => {
    unsaved &&= state !== 'started'; // any save that starts now, a person's too, has what arrived before it
  });
  watchCells(context.model, () => {
    if (enabled()) {
      unsaved = true;
      void throttler.invoke();
    }
  });
}

function watchCells(model: INotebookModel, onRun: () => void): void {
  const watched = new WeakSet<object>();
  const watch = (): void => {
    for (const cell of model.cells) {
      if (hasOutputs(cell) && !watched.has(cell)) {
        watched.add(cell);
        cell.outputs.changed.connect((_, change) => {
          if ((change.type === 'add' || change.type === 'set') && change.newValues.some(holdsRun)) {
            onRun();
          }
        });
      }
    }
  };
  watch();
  model.cells.changed.connect(watch);
}

function hasOutputs(cell: object): cell is CellWithOutputs {
  return 'outputs' in cell;
}

function holdsRun(output: Output): boolean {
  return RUN_MIME in output.data || Object.values(output.data).some(text => typeof text === 'string' && text.includes(MARKER));
}
