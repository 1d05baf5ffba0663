/** The runs table's state, all of it in the URL, so that a link shows the same table. */
export interface RunsSearch {
  sort?: string;
  order?: "asc" | "desc";
  cols?: string[];
  baseline?: string;
}

/** Reads what the address bar holds; what does not make sense is left out instead of failing the page. */
export function readRunsSearch(search: Record<string, unknown>): RunsSearch {
  const { sort, order, cols, baseline } = search;
  const state: RunsSearch = {};
  if (typeof sort === "string" && /^(started_at$|summary\.|param\.)/.test(sort)) {
    state.sort = sort;
    state.order = order === "asc" ? "asc" : "desc";
  }
  if (Array.isArray(cols)) state.cols = cols.filter((column) => typeof column === "string");
  if (typeof baseline === "string") state.baseline = baseline;
  return state;
}

/** What a click on a column's header leads to: descending, ascending, then the hub's own order. */
export function nextSorting(search: RunsSearch, sort: string): RunsSearch {
  const { sort: current, order, ...rest } = search;
  if (current !== sort) return { ...rest, sort, order: "desc" };
  return order === "desc" ? { ...rest, sort, order: "asc" } : rest;
}

export function toggledColumn(search: RunsSearch, shown: readonly string[], id: string): RunsSearch {
  const cols = shown.includes(id) ? shown.filter((other) => other !== id) : [...shown, id];
  return { ...search, cols };
}

export function toggledBaseline(search: RunsSearch, run: string): RunsSearch {
  const { baseline, ...rest } = search;
  return baseline === run ? rest : { ...rest, baseline: run };
}
