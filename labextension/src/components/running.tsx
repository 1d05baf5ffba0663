import * as React from 'react';

import type { RunningRun } from '../api';
import { formatTime } from '../format';
import { RunTitle } from './runs';
import { Section } from './section';
import { useTrans } from './trans';
import { ValueChips } from './values';

/** The runs that are not published yet, with the last values of their metrics; nothing where there are none. */
export function RunningRuns({ runs }: { readonly runs: readonly RunningRun[] }): React.ReactElement | null {
  const trans = useTrans();
  return runs.length === 0 ? null : (
    <Section title={trans.__('Running')} count={runs.length}>
      <ul className="ds-Runs">
        {runs.map(run => (
          <li key={run.run_id} className="ds-Running">
            <RunTitle record={run.record} runId={run.run_id} />
            <ValueChips values={run.latest} />
            <span className="ds-Run-foot">{formatTime(run.record.startedAt)}</span>
          </li>
        ))}
      </ul>
    </Section>
  );
}
