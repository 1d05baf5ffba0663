/**
 * Saves a notebook when a run arrives in its outputs, so that the commit holds the notebook as it was.
 *
 * Only outputs that arrive while the notebook is open count: those it was loaded with were saved before.
 */

import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { INotebookModel, NotebookPanel } from '@jupyterlab/notebook';
import { Throttler } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';

import { RUN_MIME } from './record';

/** Runs that are published together become one save, which a loop that publishes without end cannot put off. */
const INTERVAL_MS = 500;
const MARKER = '[[DOTSCIENCE-RUN:';

/** The part of a code cell's model that is used here. */
interface CellWithOutputs {
  readonly outputs: {
    readonly changed: ISignal<unknown, { readonly type: string; readonly newValues: readonly Output[] }>;
  };
}

interface Output {
  readonly data: Readonly<Record<string, unknown>>;
}

/** Watch one notebook until it is disposed; `enabled` is asked each time. */
export function saveOnPublish(panel: NotebookPanel, enabled: () => boolean): void {
  const { context } = panel;
  const throttler = new Throttler(() => save(context), { limit: INTERVAL_MS, edge: 'trailing' });
  panel.disposed.connect(() => throttler.dispose());
  void context.ready.then(() => {
    if (!panel.isDisposed) {
      watchCells(context.model, () => {
        if (enabled()) {
          void throttler.invoke();
        }
      });
    }
  });
}

async function save(context: DocumentRegistry.IContext<INotebookModel>): Promise<void> {
  if (!context.isDisposed && context.contentsModel?.writable !== false) {
    await context.save();
  }
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
