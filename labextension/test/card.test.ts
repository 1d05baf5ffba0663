import { nullTranslator } from '@jupyterlab/translation';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import { renderCard, updateState } from '../src/card';
import { readRecord } from '../src/record';

const trans = nullTranslator.load('dotscience');
const HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>';

function card(record: unknown, onOpen?: () => void): HTMLElement {
  return renderCard(readRecord(record), { trans, state: undefined, ...(onOpen ? { onOpen } : {}) });
}

describe('a card', () => {
  let shown: HTMLElement;

  beforeEach(() => {
    shown = card({
      run_id: '12345678-0000-4000-8000-000000000000',
      description: 'Deeper trees',
      started_at: '2026-01-02T03:04:05Z',
      ended_at: '2026-01-02T03:04:17Z',
      summary: { accuracy: 0.97312345, steps: 1000 },
      parameters: { rate: 0.1 },
      inputs: [{ path: 'a' }, { path: 'b' }]
    });
  });

  it('shows description, numbers, duration and counts', () => {
    expect(shown.querySelector('.ds-Card-title')?.textContent).toBe('Deeper trees');
    expect([...shown.querySelectorAll('.ds-Card-metrics dd')].map(node => node.textContent)).toEqual(['0.97312', '1000']);
    expect(shown.querySelector('.ds-Card-parameters')?.textContent).toBe('rate0.1');
    expect(shown.querySelector('.ds-Card-foot')?.textContent).toContain('12 s');
    expect(shown.querySelector('.ds-Card-foot')?.textContent).toContain('2 inputs');
  });

  it('shows how far the run has come as soon as that is known', () => {
    const badge = shown.querySelector<HTMLElement>('.ds-Card-state');
    expect(badge?.hidden).toBe(true);
    updateState(shown, 'pushed', trans);
    expect(badge?.hidden).toBe(false);
    expect(badge?.textContent).toBe('pushed');
  });

  it('opens details only where something can', () => {
    expect(shown.querySelector('button')).toBeNull();
    const open = vi.fn();
    card({}, open).querySelector('button')?.click();
    expect(open).toHaveBeenCalledOnce();
  });
});

describe('a hostile record', () => {
  it('is text in every place', () => {
    const shown = card({
      run_id: HOSTILE,
      description: HOSTILE,
      error: HOSTILE,
      started_at: HOSTILE,
      summary: { [HOSTILE]: HOSTILE },
      parameters: { [HOSTILE]: { deep: [HOSTILE] } },
      labels: HOSTILE
    });
    expect(shown.querySelectorAll('img, script')).toHaveLength(0);
    expect(shown.querySelector('.ds-Card-title')?.textContent).toBe(HOSTILE);
  });

  it.each([null, 1, 'text', [], { summary: [1, 2], parameters: null, inputs: 'x', models: { a: 1 }, error: 5 }])(
    'of the wrong shape is still a card: %j',
    record => {
      expect(card(record).querySelector('.ds-Card-title')?.textContent).toContain('Run');
    }
  );

  it('of any size stays small', () => {
    const summary = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`m${index}`, 'x'.repeat(10_000)]));
    const shown = card({ summary, description: 'y'.repeat(1_000_000) });
    expect(shown.querySelectorAll('*').length).toBeLessThan(100);
    expect(shown.textContent?.length).toBeLessThan(2000);
  });
});
