import * as React from 'react';

import { isOnThisMachine, safeUrl, sameOrigin } from '../format';

interface HubLinkProps {
  /** The page, as the workspace's files and the committer say. */
  readonly url: string;
  /** The run whose page it is; null for the project's. */
  readonly runId: string | null;
  /** Asks the server for an address of the same page that signs in; rejects when it has none. */
  readonly onFollow: HubFollower;
  readonly children: React.ReactNode;
}

export type HubFollower = (runId: string | null) => Promise<string>;

/** A link to a page of the hub, which signs in on the way where the hub is on this machine. */
export function HubLink({ url, runId, onFollow, children }: HubLinkProps): React.ReactElement {
  const follow = (event: React.MouseEvent): void => {
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    // At once: browsers let no tab be opened once an answer has been waited for.
    const tab = isPlain && isOnThisMachine(url) ? window.open('', '_blank') : null;
    if (tab === null) {
      return;
    }
    event.preventDefault();
    tab.opener = null;
    void addressOf(url, onFollow(runId)).then(address => tab.location.replace(address));
  };
  return (
    <a className="ds-Link" href={url} target="_blank" rel="noopener noreferrer" onClick={follow}>
      {children}
    </a>
  );
}

/** What the server answers, where that leads to the same hub; the page itself otherwise. */
async function addressOf(url: string, answer: Promise<string>): Promise<string> {
  const address = safeUrl(await answer.catch(() => url));
  return address !== undefined && sameOrigin(address, url) ? address : url;
}
