/** The words for how far a run has come, and for how we know of it: a badge, and a sentence that explains it. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { RunState } from './api';
import type { Authority } from './record';

export type Words = readonly [word: string, explanation: string];

export function runStateWords(state: RunState, trans: TranslationBundle): Words {
  switch (state) {
    case 'pending':
      return [trans.__('pending'), trans.__('Noticed; becomes a commit with the next save')];
    case 'committed':
      return [trans.__('saved here'), trans.__('Committed on this machine, not yet pushed')];
    case 'pushed':
      return [trans.__('pushed'), trans.__('Committed and on the hub')];
    case 'earlier':
      return [trans.__('earlier'), trans.__('Came with a copied or cloned notebook; it did not happen in this folder')];
  }
}

/** Null for runs that their own code published, which is the rule. */
export function authorityWords(authority: Authority, trans: TranslationBundle): Words | null {
  switch (authority) {
    case 'workload':
      return null;
    case 'derived':
      return [trans.__('derived'), trans.__('Inferred from the cells that were executed; nothing was published')];
    case 'correction':
      return [trans.__('correction'), trans.__('Files changed that no run explains')];
    case 'remote':
      return [trans.__('remote'), trans.__('Published from a machine without the workspace')];
  }
}
