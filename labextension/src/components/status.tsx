import * as React from 'react';

import type { CommitterProblem, CommitterStatus } from '../api';
import { describe } from '../describe';
import { safeUrl } from '../format';
import type { State } from '../tokens';
import { HubLink } from './hub-link';
import type { HubFollower } from './hub-link';
import { useTrans } from './trans';

interface StatusProps {
  readonly state: State;
  readonly onRetry: () => void;
  readonly onFollow: HubFollower;
}

/** What the tracker does, truthfully, and what to do when something is wrong. */
export function Status({ state, onRetry, onFollow }: StatusProps): React.ReactElement {
  const trans = useTrans();
  const { tone, sentence, hint } = describe(state, trans);
  const committer = state.server?.committer ?? null;
  const stuck = tone === 'bad' || committer?.state === 'unreachable';
  return (
    <section className={`ds-Status ds-mod-${tone}`} aria-label={trans.__('Status')}>
      <p className="ds-Status-line" aria-live="polite">
        <span className="ds-Dot" aria-hidden="true" />
        <span>{sentence}</span>
      </p>
      {hint ? <p className="ds-Hint">{hint}</p> : null}
      {problemsOf(committer).map(({ detail, hint }) => (
        <Problem key={detail} text={detail} hint={hint} />
      ))}
      {committer === null ? null : <Counts committer={committer} onFollow={onFollow} />}
      {stuck ? (
        <button type="button" className="ds-Button" disabled={state.busy !== null} onClick={onRetry}>
          {trans.__('Try again')}
        </button>
      ) : null}
    </section>
  );
}

function problemsOf(committer: CommitterStatus | null): readonly CommitterProblem[] {
  return committer?.problems ?? (committer?.error ? [committer.error] : []);
}

interface CountsProps {
  readonly committer: CommitterStatus;
  readonly onFollow: HubFollower;
}

function Counts({ committer, onFollow }: CountsProps): React.ReactElement {
  const trans = useTrans();
  const { hub, unpushed, pending_runs: pending, earlier_runs: earlier } = committer;
  return (
    <>
      <p className="ds-Counts">
        <span>{trans._n('%1 run', '%1 runs', committer.runs)}</span>
        {hub !== null && unpushed > 0 ? <span>{trans._n('%1 commit to push', '%1 commits to push', unpushed)}</span> : null}
        {pending > 0 ? <span>{trans._n('%1 run waits for a save', '%1 runs wait for a save', pending)}</span> : null}
        {earlier > 0 ? <span>{trans._n('%1 earlier run', '%1 earlier runs', earlier)}</span> : null}
      </p>
      {hub === null ? (
        <p className="ds-Hint">{trans.__('Not bound to a hub: commits stay on this machine.')}</p>
      ) : (
        <ProjectLink hub={hub} onFollow={onFollow} />
      )}
    </>
  );
}

interface ProjectLinkProps {
  readonly hub: NonNullable<CommitterStatus['hub']>;
  readonly onFollow: HubFollower;
}

function ProjectLink({ hub, onFollow }: ProjectLinkProps): React.ReactElement {
  const trans = useTrans();
  const name = hub.project_name;
  const url = safeUrl(`${hub.url.replace(/\/+$/, '')}/p/${encodeURIComponent(hub.project_id)}`);
  return url === undefined ? (
    <p className="ds-Hint">{name}</p>
  ) : (
    <HubLink url={url} runId={null} onFollow={onFollow}>
      {trans.__('Open %1 on the hub', name)}
    </HubLink>
  );
}

interface ProblemProps {
  readonly text: string;
  readonly hint: string;
}

/** Something went wrong: what, and what to do. */
export function Problem({ text, hint }: ProblemProps): React.ReactElement {
  return (
    <div className="ds-Problem" role="alert">
      <p>{text}</p>
      {hint ? <p className="ds-Hint">{hint}</p> : null}
    </div>
  );
}
