import * as React from 'react';

import { ApiProblem } from '../api';
import { formatSize, shortId } from '../format';
import type { State } from '../tokens';
import { Section } from './section';
import { Problem } from './status';
import { useTrans } from './trans';

interface SaveProps {
  readonly state: State;
  readonly onCommit: (description: string) => Promise<void>;
}

/** Takes a commit on request. */
export function Save({ state, onCommit }: SaveProps): React.ReactElement {
  const trans = useTrans();
  const [description, setDescription] = React.useState('');
  const id = React.useId();
  const saving = state.busy === 'commit';
  const submit = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    await onCommit(description.trim());
    setDescription('');
  };
  return (
    <Section title={trans.__('Save and push')}>
      <form className="ds-Save" onSubmit={event => void submit(event)}>
        <label htmlFor={id}>{trans.__('Describe your commit')}</label>
        <textarea id={id} rows={2} maxLength={10_000} value={description} onChange={event => setDescription(event.target.value)} />
        <button type="submit" className="ds-Button ds-mod-primary" disabled={state.busy !== null}>
          {saving ? trans.__('Saving …') : trans.__('Save and push data')}
        </button>
      </form>
      <div aria-live="polite">
        <Outcome outcome={state.outcome} />
      </div>
      <p className="ds-Hint">{trans.__('ds.publish() saves and pushes by itself.')}</p>
    </Section>
  );
}

function Outcome({ outcome }: { readonly outcome: State['outcome'] }): React.ReactElement | null {
  const trans = useTrans();
  if (outcome === null) {
    return null;
  }
  if (outcome instanceof ApiProblem) {
    return <Problem text={outcome.message} hint={outcome.hint} />;
  }
  const files = trans._n('%1 file', '%1 files', outcome.files);
  const text = trans.__('Committed %1: %2, %3 new', shortId(outcome.commit), files, formatSize(outcome.new_bytes));
  return <p className="ds-Done">{text}</p>;
}
