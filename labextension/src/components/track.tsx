import * as React from 'react';

import { ApiProblem } from '../api';
import type { Preview } from '../api';
import { formatSize } from '../format';
import type { State } from '../tokens';
import { Section } from './section';
import { Problem } from './status';
import { useTrans } from './trans';

interface TrackProps {
  readonly state: State;
  readonly preview: Preview;
  readonly onTrack: () => void;
}

/** Offers to track a folder, and says what that would take in. */
export function Track({ state, preview, onTrack }: TrackProps): React.ReactElement {
  const trans = useTrans();
  return (
    <Section title={trans.__('Track this folder')}>
      <p className="ds-Path" title={preview.root}>
        {preview.root}
      </p>
      {preview.refused === null ? <Size preview={preview} /> : <Problem text={preview.refused} hint="" />}
      <p className="ds-Hint">
        {trans.__(
          'From then on each run is kept with an exact copy of the folder. Credentials, .git, virtual environments and what .dotscienceignore names are left out.'
        )}
      </p>
      <button
        type="button"
        className="ds-Button ds-mod-primary"
        disabled={preview.refused !== null || state.busy !== null}
        onClick={onTrack}
      >
        {state.busy === 'track' ? trans.__('Setting up …') : trans.__('Track this folder')}
      </button>
      {state.outcome instanceof ApiProblem ? <Problem text={state.outcome.message} hint={state.outcome.hint} /> : null}
    </Section>
  );
}

function Size({ preview }: { readonly preview: Preview }): React.ReactElement {
  const trans = useTrans();
  const files = trans._n('%1 file', '%1 files', preview.files);
  const size = formatSize(preview.size);
  return <p>{preview.more ? trans.__('More than %1, %2', files, size) : trans.__('%1, %2', files, size)}</p>;
}
