import { describe, expect, it } from 'vitest';

import { oneAtATime } from '../src/save-on-publish';

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
