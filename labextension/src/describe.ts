/** The tracker's state in words, for the panel and the status bar. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { CommitterStatus } from './api';
import { formatSize, formatTime } from './format';
import type { State } from './tokens';

export type Tone = 'idle' | 'good' | 'busy' | 'warn' | 'bad';

export interface Description {
  readonly tone: Tone;
  /** One sentence for the panel. */
  readonly sentence: string;
  /** A few words for the status bar. */
  readonly brief: string;
  /** What to do, where there is something to do. */
  readonly hint: string;
}

export function describe(state: State, trans: TranslationBundle): Description {
  const { problem, server } = state;
  if (problem !== null) {
    const sentence = trans.__('The Jupyter server does not answer for Dotscience: %1', problem.message);
    const hint = problem.hint || trans.__('Runs are kept in the folder. This panel tries again by itself.');
    return { tone: 'bad', sentence, brief: trans.__('no answer'), hint };
  }
  if (server === null) {
    return { tone: 'idle', sentence: trans.__('Looking …'), brief: trans.__('looking …'), hint: '' };
  }
  if (!server.tracked) {
    return { tone: 'idle', sentence: trans.__('This folder is not tracked'), brief: trans.__('not tracked'), hint: '' };
  }
  return server.committer === null
    ? describeAbsence(server.error, trans)
    : describeCommitter(server.committer, trans);
}

function describeAbsence(error: string | null, trans: TranslationBundle): Description {
  if (error === null) {
    return { tone: 'busy', sentence: trans.__('The committer is starting'), brief: trans.__('starting'), hint: '' };
  }
  const hint = trans.__('Runs are kept in the folder and are committed when the committer is back.');
  return { tone: 'bad', sentence: error, brief: trans.__('not watching'), hint };
}

function describeCommitter(committer: CommitterStatus, trans: TranslationBundle): Description {
  const { error, hub, unpushed } = committer;
  const waiting = hub !== null && unpushed > 0 ? trans.__('%1 to push', unpushed) : '';
  const as = (tone: Tone, brief: string, hint = ''): Description => ({
    tone,
    sentence: committer.message,
    brief,
    hint
  });
  switch (committer.state) {
    case 'starting':
      return as('busy', trans.__('starting'));
    case 'snapshotting':
      return as('busy', trans.__('taking a snapshot'));
    case 'pushing':
      return describePush(committer, trans);
    case 'unreachable':
      return as('warn', waiting || trans.__('hub unreachable'), unreachableHint(committer, trans));
    case 'error':
      return as('bad', trans.__('needs attention'), error ? '' : trans.__('The committer’s log says more.'));
    case 'committed':
    case 'watching':
    case 'pushed':
      return as(error ? 'warn' : 'good', waiting || restingBrief(committer, trans));
  }
}

function describePush(committer: CommitterStatus, trans: TranslationBundle): Description {
  const { pushed, push_total: total, push_bytes_done: sent = 0, push_bytes_total: toSend = 0 } = committer;
  const number = Math.min(pushed + 1, total);
  const bytes = toSend > 0 ? ` (${trans.__('%1 of %2', formatSize(sent), formatSize(toSend))})` : '';
  return {
    tone: 'busy',
    sentence: trans._n('Pushing %2 of %1 commit', 'Pushing %2 of %1 commits', total, number) + bytes,
    brief: trans.__('pushing %1 of %2', number, total),
    hint: ''
  };
}

function restingBrief(committer: CommitterStatus, trans: TranslationBundle): string {
  return committer.hub === null ? trans.__('saved here') : trans.__('pushed');
}

function unreachableHint(committer: CommitterStatus, trans: TranslationBundle): string {
  const since = formatTime(committer.hub?.unreachable_since ?? null);
  return since
    ? trans.__('Unreachable since %1. Your work is saved here and is pushed as soon as the hub answers.', since)
    : trans.__('Your work is saved here and is pushed as soon as the hub answers.');
}
