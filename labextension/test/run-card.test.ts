import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { MessageLoop } from '@lumino/messaging';
import { describe, expect, it } from 'vitest';

import extension, { RunCard } from '../src/mime';
import { RUN_MIME } from '../src/record';
import { runBoard } from '../src/run-board';
import { entry } from './fixtures';

async function show(run: ReturnType<typeof entry>): Promise<RunCard> {
  const card = new RunCard(nullTranslator.load('dotscience'));
  const data = { [RUN_MIME]: { run_id: run.run_id, description: run.record.description } };
  Widget.attach(card, document.body);
  await card.renderModel({ trusted: false, data, metadata: {}, setData: () => undefined });
  return card;
}

function badge(card: RunCard): string {
  MessageLoop.flush();
  return card.node.querySelector('.ds-Card-state')?.textContent ?? '';
}

describe('a run card in a notebook', () => {
  it('follows its run as long as it is shown', async () => {
    const run = entry({ description: 'first' }, { state: 'pending' });
    const card = await show(run);
    expect(badge(card)).toBe('');
    runBoard.post([run]);
    expect(badge(card)).toBe('pending');
    runBoard.post([{ ...run, state: 'pushed' }]);
    expect(badge(card)).toBe('pushed');
    card.dispose();
    runBoard.post([{ ...run, state: 'committed' }]);
    expect(badge(card)).toBe('pushed');
  });

  it('asks the panel for its run', async () => {
    const run = entry();
    const card = await show(run);
    const asked: string[] = [];
    runBoard.asked.connect((_, runId) => asked.push(runId));
    card.node.querySelector('button')?.click();
    expect(asked).toEqual([run.run_id]);
    card.dispose();
  });

  it('is drawn in notebooks that are not trusted, before any other form of the output', () => {
    expect(extension).toMatchObject({ rank: 0, dataType: 'json', rendererFactory: { safe: true, mimeTypes: [RUN_MIME] } });
  });
});
