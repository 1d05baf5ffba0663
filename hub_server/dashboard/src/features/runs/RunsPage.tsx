import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo, useRef, useState, type ReactNode } from "react";

import { isAboutFilter } from "../../api/problem";
import { columnsQuery, newestRunsQuery, projectQuery, runsQuery, sessionQuery } from "../../api/queries";
import type { Run } from "../../api/types";
import { Icon } from "../../components/Icon";
import { FIRST_RUN, Snippet } from "../../components/Snippet";
import { EmptyState, ErrorPanel, Skeleton } from "../../components/states";
import { formatCount } from "../../lib/format";
import { useLast, useTitle } from "../../lib/hooks";
import { titleOf } from "../../lib/run";
import { useBaseline } from "./baseline";
import { ColumnPicker } from "./ColumnPicker";
import { allColumns, chosenColumns, defaultColumnIds } from "./columns";
import { FilterBar } from "./FilterBar";
import { useRememberedColumns } from "./remembered";
import { RunningRuns } from "./RunningRuns";
import { RunsTable } from "./RunsTable";
import { filtered, nextSorting, toggledBaseline, toggledColumn, type RunsSearch } from "./search";
import { SelectionBar } from "./SelectionBar";
import { useLiveRuns } from "./useLiveRuns";

const TOP_PX = 24;

export function RunsPage() {
  const { project } = useParams({ from: "/shell/p/$project/" });
  const search = useSearch({ from: "/shell/p/$project/" });
  const navigate = useNavigate({ from: "/p/$project" });
  const change = (to: (search: RunsSearch) => RunsSearch) => void navigate({ search: to, replace: true });
  const sorting = { sort: search.sort, order: search.order };
  const listing = { ...sorting, filter: search.q };

  useTitle("Runs", useQuery(projectQuery(project)).data?.name);
  const query = useInfiniteQuery(runsQuery(project, listing));
  const { data: names, isPending: isNaming } = useQuery(columnsQuery(project));
  const { data: newest, isPending: isSampling } = useQuery(newestRunsQuery(project));
  const account = useQuery(sessionQuery()).data?.account.id ?? "";
  const scroller = useRef<HTMLDivElement>(null);
  const live = useLiveRuns(project, listing, () => (scroller.current?.scrollTop ?? 0) < TOP_PX);
  const baseline = useBaseline(project, search.baseline);
  const [selected, setSelected] = useState<readonly string[]>([]);

  // A filter that cannot be understood leaves the table as it was, to be read while the filter is mended.
  const data = useLast(query.data, project);
  const runs = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data]);
  const columns = useMemo(() => allColumns(names, data?.pages[0]?.items ?? []), [names, data]);
  const remembered = useRememberedColumns(account, project);
  const chosenIds = search.cols ?? remembered.columns;
  const shownIds = chosenIds ?? defaultColumnIds(names, newest ?? []);
  const choose = (cols: string[] | undefined) => {
    remembered.remember(cols);
    change((now) => ({ ...now, cols }));
  };
  const total = data?.pages[0];
  const mistake = isAboutFilter(query.error) ? query.error : null;
  const showWaiting = () => {
    live.show();
    scroller.current?.scrollTo({ top: 0 });
  };

  const refetch = () => void query.refetch();

  // Both are asked for at once; a table that starts without its columns would jump when they come.
  if (query.isPending || isNaming || isSampling) return <Framed children={<Skeleton what="runs" rows={12} />} />;
  if (query.isLoadingError && !mistake) return <Framed children={<ErrorPanel error={query.error} retry={refetch} />} />;
  if (runs.length === 0 && search.q === undefined) return <Framed children={<NoRuns project={project} />} />;
  return (
    <div className="runs-page">
      <h1 className="visually-hidden">Runs</h1>
      <RunningRuns project={project} />
      <FilterBar
        key={search.q}
        filter={search.q ?? ""}
        apply={(filter) => change((now) => filtered(now, filter))}
        error={mistake}
      />
      <div className="toolbar">
        <span className="count" role="status">
          {total && !mistake && formatCount(total.total, "run", total.total_is_exact)}
        </span>
        {live.waiting > 0 && (
          <button type="button" className="button pill" onClick={showWaiting}>
            <Icon name="up" /> {formatCount(live.waiting, "new run")}
          </button>
        )}
        {baseline && <BaselineNote baseline={baseline} clear={() => change((now) => toggledBaseline(now, baseline.id))} />}
        <SelectionBar project={project} selected={selected} clear={() => setSelected([])} />
        <ColumnPicker
          columns={columns}
          shown={shownIds}
          toggle={(id) => choose(toggledColumn(shownIds, id))}
          reset={chosenIds ? () => choose(undefined) : null}
        />
      </div>
      {query.isError && !mistake && <ErrorPanel error={query.error} retry={refetch} />}
      {runs.length === 0 && !query.isError && <NoneMeets showAll={() => change((now) => filtered(now, ""))} />}
      {runs.length > 0 && (
        <RunsTable
          project={project}
          runs={runs}
          total={total?.total_is_exact ? total.total : null}
          columns={chosenColumns(columns, shownIds, baseline !== null)}
          sorting={sorting}
          onSort={(sort) => change((now) => nextSorting(now, sort))}
          baseline={baseline}
          onBaseline={(run) => change((now) => toggledBaseline(now, run))}
          selected={selected}
          onSelect={(run) => setSelected((now) => (now.includes(run) ? now.filter((one) => one !== run) : [...now, run]))}
          fresh={live.fresh}
          scroller={scroller}
          isStale={query.isPlaceholderData || mistake !== null}
          loadMore={query.hasNextPage && !query.isFetching && !query.isError ? () => void query.fetchNextPage() : null}
        />
      )}
    </div>
  );
}

function Framed({ children }: { children: ReactNode }) {
  return (
    <div className="page">
      <h1 className="visually-hidden">Runs</h1>
      {children}
    </div>
  );
}

function BaselineNote({ baseline, clear }: { baseline: Run; clear: () => void }) {
  return (
    <span className="baseline-note">
      <Icon name="pin" /> Compared with <strong>{titleOf(baseline)}</strong>
      <button type="button" className="icon-button small" aria-label="Stop comparing" title="Stop comparing" onClick={clear}>
        <Icon name="cross" />
      </button>
    </span>
  );
}

function NoneMeets({ showAll }: { showAll: () => void }) {
  return (
    <div className="page">
      <EmptyState title="No run meets the filter">
        <p>A condition is met only by runs that have the value. The column picker has the names in use.</p>
        <button type="button" className="button" onClick={showAll}>
          Show all runs
        </button>
      </EmptyState>
    </div>
  );
}

function NoRuns({ project }: { project: string }) {
  return (
    <>
      <RunningRuns project={project} />
      <FirstSteps />
    </>
  );
}

function FirstSteps() {
  return (
    <EmptyState title="No runs yet">
      <p>Run a cell with these four lines in a notebook of this project, and save it:</p>
      <Snippet code={FIRST_RUN} label="Code that publishes a first run" />
      <p className="muted">The run appears here within seconds, without reloading.</p>
    </EmptyState>
  );
}
