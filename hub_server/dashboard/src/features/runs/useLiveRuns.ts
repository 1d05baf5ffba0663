import { useQueryClient, type InfiniteData } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { keys, runsQuery, type Listing } from "../../api/queries";
import type { List, Run } from "../../api/types";
import { topicOf, useLiveEvents } from "../live/hooks";

const MARKED_MS = 6000;

interface LiveRuns {
  /** Runs that arrived since the table was loaded, to be marked in it. */
  fresh: ReadonlySet<string>;
  /** How many of them wait until the reader asks for them. */
  waiting: number;
  show: () => void;
}

/**
 * Brings new runs into the table: at once where the reader looks at the newest runs, else behind a button.
 *
 * Rows never move under a reader who has scrolled, sorts by a value, or has a filter, which a new run may not meet.
 */
export function useLiveRuns(project: string, listing: Listing, isAtTop: () => boolean): LiveRuns {
  const client = useQueryClient();
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const [waiting, setWaiting] = useState(0);
  const key = keys.runList(project, listing);

  const show = () => {
    setWaiting(0);
    // Only the first page is asked for again; a reader at the top needs no more, however far they had scrolled.
    client.setQueryData<InfiniteData<List<Run>, string>>(key, firstPage);
    void client.invalidateQueries({ queryKey: runsQuery(project, listing).queryKey, exact: true });
  };

  useLiveEvents([topicOf(project)], (events) => {
    if (events === "resync") return show();
    const arrived = events.filter((event) => event.type === "run.created").map((event) => event.id);
    if (arrived.length === 0) return;
    setFresh((before) => new Set([...before, ...arrived]));
    if (listing.sort === undefined && listing.filter === undefined && isAtTop()) show();
    else setWaiting((before) => before + arrived.length);
  });

  useEffect(() => {
    if (fresh.size === 0 || waiting > 0) return;
    const handle = setTimeout(() => setFresh(new Set()), MARKED_MS);
    return () => clearTimeout(handle);
  }, [fresh, waiting]);

  return { fresh, waiting, show };
}

function firstPage(data: InfiniteData<List<Run>, string> | undefined): InfiniteData<List<Run>, string> | undefined {
  return data && { pages: data.pages.slice(0, 1), pageParams: data.pageParams.slice(0, 1) };
}
