import * as React from 'react';

import type { RunEntry } from '../api';
import { formatTime, shortId } from '../format';
import type { RunRecord } from '../record';
import type { RunList } from '../tokens';
import { AuthorityBadge, ErrorMark, OverwrittenMark, StateBadge } from './badges';
import { useTrans } from './trans';
import { ValueChips } from './values';

interface RunsProps {
  readonly list: RunList;
  /** Leave the notebook's name out: the whole list is about one. */
  readonly sameNotebook?: boolean;
  readonly onSelect: (runId: string) => void;
  readonly onMore: () => void;
}

/** Runs, newest first; each is a button that opens its details. */
export function Runs({ list, sameNotebook = false, onSelect, onMore }: RunsProps): React.ReactElement {
  const trans = useTrans();
  const hidden = list.total - list.runs.length;
  return (
    <>
      <ul className="ds-Runs">
        {list.runs.map(entry => (
          <li key={entry.run_id}>
            <RunRow entry={entry} sameNotebook={sameNotebook} onSelect={onSelect} />
          </li>
        ))}
      </ul>
      {hidden > 0 ? (
        <button type="button" className="ds-Link ds-More" onClick={onMore}>
          {trans.__('Show more (%1 left)', hidden)}
        </button>
      ) : null}
    </>
  );
}

interface RunRowProps {
  readonly entry: RunEntry;
  readonly sameNotebook: boolean;
  readonly onSelect: (runId: string) => void;
}

function RunRow({ entry, sameNotebook, onSelect }: RunRowProps): React.ReactElement {
  const { record } = entry;
  const place = sameNotebook ? null : (entry.notebook ?? record.workloadFile);
  return (
    <button type="button" className="ds-Run" data-run={entry.run_id} onClick={() => onSelect(entry.run_id)}>
      <span className="ds-Run-head">
        <RunTitle record={record} runId={entry.run_id} />
        <StateBadge state={entry.state} />
      </span>
      <ValueChips values={record.summary} />
      <span className="ds-Run-foot">
        <time dateTime={record.startedAt ?? entry.noticed_at}>{formatTime(record.startedAt ?? entry.noticed_at)}</time>
        {place === null ? null : <span className="ds-Run-place">{place}</span>}
        <AuthorityBadge authority={record.authority} />
        <ErrorMark record={record} />
        <OverwrittenMark record={record} />
      </span>
    </button>
  );
}

/** What a run calls itself, or what we call it. */
export function RunTitle({ record, runId }: { record: RunRecord; runId: string }): React.ReactElement {
  const trans = useTrans();
  if (record.description) {
    return <span className="ds-Run-title">{record.description}</span>;
  }
  const title =
    record.authority === 'correction'
      ? trans.__('Unexplained changes')
      : record.authority === 'derived'
        ? trans.__('Executed cells')
        : trans.__('Run %1', shortId(runId));
  return <span className="ds-Run-title ds-mod-unnamed">{title}</span>;
}
