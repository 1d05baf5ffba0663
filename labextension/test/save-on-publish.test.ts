import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { INotebookModel } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { describe, expect, it, vi } from 'vitest';

import { RUN_MIME } from '../src/record';
import { oneAtATime, saveOnPublish } from '../src/save-on-publish';

/** An action whose calls the test ends one by one. */
function controlled() {
  const started: { end: () => void; fail: (reason: Error) => void }[] = [];
  const action = (): Promise<void> => new Promise((end, fail) => started.push({ end, fail }));
  return { action, started };
}

const settle = (): Promise<void> => new Promise(done => setTimeout(done));

describe('saves of one notebook', () => {
  it('wait for the one in flight, and those that wait share the next', async () => {
    const { action, started } = controlled();
    const save = oneAtATime(action);
    const first = save();
    await settle();
    const second = save();
    const third = save();
    await settle();
    expect(started).toHaveLength(1);
    started[0]?.end();
    await first;
    await settle();
    expect(started).toHaveLength(2);
    started[1]?.end();
    await Promise.all([second, third]);
  });

  it('go on after one that failed, which only its own callers hear of', async () => {
    const { action, started } = controlled();
    const save = oneAtATime(action);
    const first = save();
    await settle();
    const second = save();
    started[0]?.fail(new Error('the disk is full'));
    await expect(first).rejects.toThrow('the disk is full');
    await settle();
    started[1]?.end();
    await second;
  });
});

/** An open notebook with one cell, in which a run can arrive. */
function opened(collaborative: boolean) {
  const outputs = { changed: new Signal<object, unknown>({}) };
  const cells = Object.assign([{ outputs }], { changed: new Signal<object, unknown>({}) });
  const save = vi.fn(() => Promise.resolve());
  const context = {
    disposed: new Signal<object, void>({}),
    isDisposed: false,
    model: { cells, collaborative },
    ready: Promise.resolve(),
    save,
    saveState: new Signal<object, string>({})
  } as unknown as DocumentRegistry.IContext<INotebookModel>;
  const publish = (): void => outputs.changed.emit({ type: 'add', newValues: [{ data: { [RUN_MIME]: {} } }] });
  return { context, publish, save };
}

describe('a run that arrives', () => {
  it.each([
    ['saves a notebook that the page writes', false, 1],
    ['leaves a shared document to the server that writes it', true, 0]
  ])('%s', async (_, collaborative, saves) => {
    vi.useFakeTimers();
    try {
      const { context, publish, save } = opened(collaborative);
      saveOnPublish(context, () => true);
      await vi.runAllTimersAsync();
      publish();
      await vi.runAllTimersAsync();
      expect(save).toHaveBeenCalledTimes(saves);
    } finally {
      vi.useRealTimers();
    }
  });
});
