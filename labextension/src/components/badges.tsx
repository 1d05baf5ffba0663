import * as React from 'react';

import type { RunState } from '../api';
import type { Authority, RunRecord } from '../record';
import { authorityWords, runStateWords } from '../run-words';
import { useTrans } from './trans';

export function StateBadge({ state }: { readonly state: RunState }): React.ReactElement {
  const [word, explanation] = runStateWords(state, useTrans());
  return (
    <span className={`ds-State ds-mod-${state}`} title={explanation}>
      {word}
    </span>
  );
}

export function AuthorityBadge({ authority }: { readonly authority: Authority }): React.ReactElement | null {
  const words = authorityWords(authority, useTrans());
  return words === null ? null : (
    <span className="ds-Badge" title={words[1]}>
      {words[0]}
    </span>
  );
}

/** Says that the commit holds other contents of some outputs than the run wrote; nothing where it holds all. */
export function OverwrittenMark({ record }: { readonly record: RunRecord }): React.ReactElement | null {
  const trans = useTrans();
  const paths = record.outputs.filter(file => file.overwritten).map(file => file.path);
  return paths.length === 0 ? null : (
    <span className="ds-Badge ds-mod-warn" title={trans.__('A later run wrote these files before the snapshot was taken: %1', paths.join(', '))}>
      {trans.__('overwritten')}
    </span>
  );
}

export function ErrorMark({ record }: { readonly record: RunRecord }): React.ReactElement | null {
  const trans = useTrans();
  return record.error === null ? null : (
    <span className="ds-Badge ds-mod-bad" title={record.error}>
      {trans.__('failed')}
    </span>
  );
}
