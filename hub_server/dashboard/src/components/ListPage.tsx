import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";

import type { List } from "../api/types";
import { formatCount } from "../lib/format";
import { ErrorPanel, Skeleton } from "./states";

interface Props<T> {
  title: string;
  /** What one item is called. */
  noun: string;
  query: UseInfiniteQueryResult<InfiniteData<List<T>>>;
  /** What the button that fetches the next page says. */
  more: string;
  /** Shown where the list has nothing. */
  empty?: ReactNode;
  children: (items: T[]) => ReactNode;
}

/** A page that is one list of the hub: its count, its items as they were fetched, and what it shows in their stead. */
export function ListPage<T>({ title, noun, query, more, empty, children }: Props<T>) {
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  const first = query.data?.pages[0];
  return (
    <div className="page">
      <header className="page-header">
        <h1 className="clip">{title}</h1>
        {first && <span className="muted">{formatCount(first.total, noun, first.total_is_exact)}</span>}
      </header>
      {query.isPending && <Skeleton what={`${noun}s`} />}
      {query.isError && <ErrorPanel error={query.error} retry={() => void query.refetch()} />}
      {query.isSuccess && items.length === 0 && empty}
      {items.length > 0 && children(items)}
      {query.hasNextPage && (
        <button type="button" className="button" disabled={query.isFetching} onClick={() => void query.fetchNextPage()}>
          {more}
        </button>
      )}
    </div>
  );
}
