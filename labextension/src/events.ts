/** Jupyter events as a reason to refresh. */

import type { Event } from '@jupyterlab/services';

const SCHEMAS = 'https://events.dotscience.dev/';

/** Call `onEvent` for each event of ours, as long as the event manager lives. */
export function followEvents(events: Event.IManager, onEvent: () => void): void {
  events.stream.connect((_, emission) => {
    if (emission.schema_id.startsWith(SCHEMAS)) {
      onEvent();
    }
  });
}
