/** The runs table's state, all of it in the URL, so that a link shows the same table. */
export interface RunsSearch {
  sort?: string | undefined;
  order?: "asc" | "desc" | undefined;
  /** The filter. */
  q?: string | undefined;
  cols?: string[] | undefined;
  baseline?: string | undefined;
}

/**
 * Reads what the address bar holds; what does not make sense is undefined instead of failing the page.
 *
 * Every field is set: the router keeps the raw value of those that are not.
 */
export function readRunsSearch(search: Record<string, unknown>): RunsSearch {
  const { sort, order, q, cols, baseline } = search;
  const isSortable = typeof sort === "string" && /^(started_at$|(summary|param|label)\..)/.test(sort);
  return {
    sort: isSortable ? sort : undefined,
    order: isSortable ? (order === "asc" ? "asc" : "desc") : undefined,
    q: typeof q === "string" && q.trim() !== "" ? q : undefined,
    cols: Array.isArray(cols) ? cols.filter((column) => typeof column === "string") : undefined,
    baseline: typeof baseline === "string" ? baseline : undefined,
  };
}

/** What a click on a column's header leads to: descending, ascending, then the hub's own order. */
export function nextSorting(search: RunsSearch, sort: string): RunsSearch {
  if (search.sort !== sort) return { ...search, sort, order: "desc" };
  return search.order === "desc" ? { ...search, order: "asc" } : { ...search, sort: undefined, order: undefined };
}

export function filtered(search: RunsSearch, filter: string): RunsSearch {
  return { ...search, q: filter || undefined };
}

export function toggledColumn(shown: readonly string[], id: string): string[] {
  return shown.includes(id) ? shown.filter((other) => other !== id) : [...shown, id];
}

export function toggledBaseline(search: RunsSearch, run: string): RunsSearch {
  return { ...search, baseline: search.baseline === run ? undefined : run };
}
