import * as React from 'react';

import type { RunEntry } from '../api';
import { formatValue } from '../format';
import type { RunList, State } from '../tokens';
import { Runs } from './runs';
import { Section } from './section';
import { useTrans } from './trans';

interface SearchProps {
  readonly words: string;
  readonly onChange: (words: string) => void;
}

export function Search({ words, onChange }: SearchProps): React.ReactElement {
  const trans = useTrans();
  return (
    <div className="ds-Search" role="search">
      <input
        type="search"
        placeholder={trans.__('Search runs')}
        aria-label={trans.__('Search runs')}
        value={words}
        onChange={event => onChange(event.target.value)}
      />
    </div>
  );
}

interface FoundRunsProps {
  readonly state: State;
  readonly words: string;
  readonly onSelect: (runId: string) => void;
  readonly onMore: () => void;
}

/** The loaded runs that have all the words; of runs that are not loaded it says that they were not searched. */
export function FoundRuns({ state, words, onSelect, onMore }: FoundRunsProps): React.ReactElement {
  const trans = useTrans();
  const loaded = eachOnce(state);
  const runs = loaded.filter(entry => hasWords(entry, words));
  const unsearched = state.allRuns.total - state.allRuns.runs.length;
  return (
    <Section title={trans.__('Found')} count={runs.length}>
      {runs.length === 0 ? <p className="ds-Hint">{trans.__('No run has these words.')}</p> : null}
      <Runs list={{ runs, total: runs.length }} onSelect={onSelect} onMore={onMore} />
      {unsearched > 0 ? (
        <button type="button" className="ds-Link ds-More" onClick={onMore}>
          {trans.__('Search older runs (%1 left)', unsearched)}
        </button>
      ) : null}
    </Section>
  );
}

/** The runs that are not those of the notebook in front. */
export function otherRuns({ notebook, notebookRuns, allRuns }: State): RunList {
  if (notebook === null) {
    return allRuns;
  }
  const runs = allRuns.runs.filter(entry => entry.notebook !== notebook);
  return { runs, total: Math.max(runs.length, allRuns.total - notebookRuns.total) };
}

function eachOnce({ allRuns, notebookRuns }: State): readonly RunEntry[] {
  const byId = new Map([...allRuns.runs, ...notebookRuns.runs].map(entry => [entry.run_id, entry]));
  return [...byId.values()].sort((a, b) => b.seq - a.seq);
}

function hasWords(entry: RunEntry, words: string): boolean {
  const { record } = entry;
  const values = Object.entries({ ...record.parameters, ...record.labels, ...record.summary });
  const texts = [
    entry.run_id,
    record.description,
    record.error,
    entry.notebook,
    record.workloadFile,
    ...record.models.map(model => model.name),
    ...[...record.inputs, ...record.outputs].map(file => file.path),
    ...values.flatMap(([name, value]) => [name, formatValue(value)])
  ];
  const text = texts.join('\n').toLowerCase();
  return words.toLowerCase().split(/\s+/).every(word => text.includes(word));
}
