import { describe, expect, it } from 'vitest';

import { formatDuration, formatSize, formatTime, formatValue, isNumeric, safeUrl } from '../src/format';
import { readRecord } from '../src/record';

describe('values', () => {
  it.each([
    [0.1 + 0.2, '0.3'],
    [0.97312345, '0.97312'],
    [1234567, '1234567'],
    [12345678.9, '1.235e+7'],
    [0.00000123, '1.230e-6'],
    [-0.5, '-0.5'],
    [0, '0'],
    ['adam', 'adam'],
    [true, 'true'],
    [null, 'None'],
    [['a', 1], '["a",1]']
  ])('%j reads as %s', (value, text) => {
    expect(formatValue(value)).toBe(text);
  });

  it('are cut', () => {
    expect(formatValue('x'.repeat(100), 10)).toBe(`${'x'.repeat(9)}…`);
  });

  it.each([
    [1, true],
    ['1e-3', true],
    ['nan', false],
    ['', false],
    ['adam', false],
    [null, false]
  ])('%j is a number: %s', (value, expected) => {
    expect(isNumeric(value)).toBe(expected);
  });
});

describe('sizes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1_234_567, '1.2 MB'],
    [250_000_000_000, '250 GB'],
    [1e19, '10000 PB']
  ])('%d reads as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

describe('times', () => {
  it('of today are a clock, others have a date, and what is no time is empty', () => {
    const now = new Date(2026, 4, 6, 12, 0, 0);
    expect(formatTime(new Date(2026, 4, 6, 1, 2, 3).toISOString(), now)).toBe('01:02:03');
    expect(formatTime(new Date(2025, 11, 31, 1, 2, 3).toISOString(), now)).toBe('2025-12-31 01:02:03');
    expect(formatTime('yesterday', now)).toBe('');
    expect(formatTime(null, now)).toBe('');
  });

  it.each([
    ['2026-01-01T00:00:00Z', '< 1 ms'],
    ['2026-01-01T00:00:00.0123Z', '12 ms'],
    ['2026-01-01T00:00:01.5Z', '1.5 s'],
    ['2026-01-01T00:00:42Z', '42 s'],
    ['2026-01-01T00:05:09Z', '5 min 9 s'],
    ['2026-01-01T03:05:09Z', '3 h 5 min'],
    ['2025-01-01T00:00:00Z', ''],
    [null, '']
  ])('a run that ends at %s took "%s"', (ended_at, text) => {
    expect(formatDuration(readRecord({ started_at: '2026-01-01T00:00:00Z', ended_at }))).toBe(text);
  });
});

describe('links', () => {
  it.each(['javascript:alert(1)', ' javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'nonsense', '', null])(
    'do not lead to %j',
    url => {
      expect(safeUrl(url)).toBeUndefined();
    }
  );

  it('lead to hubs', () => {
    expect(safeUrl('http://127.0.0.1:8800/p/1')).toBe('http://127.0.0.1:8800/p/1');
  });
});
