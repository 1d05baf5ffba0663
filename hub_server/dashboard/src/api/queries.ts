/**
 * Every read of the hub, as TanStack query options, and the factory of their keys.
 *
 * Keys nest (`projects` ⊃ `project(id)` ⊃ `runs(id)` …), so that a live event invalidates a subtree by its prefix.
 */

import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";

import { getJson, send } from "./http";
import { HubError } from "./problem";
import { readLiveRun, readRun, readRunDetails, type WireRun } from "./record";
import type {
  AuditEntry,
  BrowserSession,
  Collaborator,
  Columns,
  Comment,
  CommitDiff,
  CommitInfo,
  Comparison,
  Direction,
  FileDiff,
  List,
  LiveRun,
  Model,
  ModelVersion,
  Person,
  Project,
  Run,
  RunDetails,
  RunMetrics,
  Session,
  Token,
  Trace,
  Tree,
} from "./types";

const PAGE = 100;
const LIVE_RUNS = 20;
const NEWEST_RUNS = 20;
const CURVE_POINTS = 600;

/** That a run is lost is no event: the hub notices when it is asked. */
export const LIVE_CHECK_MS = 30_000;

export interface Sorting {
  /** `started_at`, `summary.NAME`, `param.NAME` or `label.NAME`; undefined is the hub's own order, newest first. */
  sort?: string | undefined;
  order?: "asc" | "desc" | undefined;
}

/** Which runs, and in which order. */
export interface Listing extends Sorting {
  /** What the runs meet (docs/filters.md); undefined for all. */
  filter?: string | undefined;
}

export const keys = {
  session: ["session"] as const,
  projects: ["projects"] as const,
  projectList: ["projects", "list"] as const,
  projectTrash: ["projects", "list", "trash"] as const,
  sessions: ["session", "all"] as const,
  tokens: ["session", "tokens"] as const,
  accounts: ["accounts"] as const,
  audit: ["audit"] as const,
  project: (project: string) => ["projects", "one", project] as const,
  details: (project: string) => [...keys.project(project), "details"] as const,
  collaborators: (project: string) => [...keys.project(project), "collaborators"] as const,
  projectAudit: (project: string) => [...keys.project(project), "audit"] as const,
  trash: (project: string) => [...keys.project(project), "trash"] as const,
  comparison: (project: string, runs: readonly string[]) => [...keys.runs(project), "compare", ...runs] as const,
  comments: (project: string, run: string) => [...keys.run(project, run), "comments"] as const,
  columns: (project: string) => [...keys.project(project), "columns"] as const,
  newestRuns: (project: string) => [...keys.columns(project), "newest"] as const,
  runs: (project: string) => [...keys.project(project), "runs"] as const,
  runList: (project: string, { sort, order, filter }: Listing) =>
    [...keys.runs(project), { sort: sort ?? null, order: order ?? null, filter: filter ?? null }] as const,
  trace: (project: string, run: string, direction: Direction) =>
    [...keys.runs(project), "trace", run, direction] as const,
  run: (project: string, run: string) => [...keys.project(project), "run", run] as const,
  liveRuns: (project: string) => [...keys.project(project), "live-runs"] as const,
  liveRun: (project: string, run: string) => [...keys.project(project), "live-run", run] as const,
  metrics: (project: string, run: string) => [...keys.project(project), "metrics", run] as const,
  models: (project: string) => [...keys.runs(project), "models"] as const,
  modelVersions: (project: string, model: string) => [...keys.models(project), model] as const,
  commits: (project: string) => [...keys.project(project), "commits"] as const,
  commit: (project: string, commit: string) => [...keys.project(project), "commit", commit] as const,
  diff: (project: string, commit: string) => [...keys.commit(project, commit), "diff"] as const,
  fileDiff: (project: string, commit: string, path: string) => [...keys.diff(project, commit), path] as const,
  tree: (project: string, commit: string, path: string) => [...keys.commit(project, commit), "tree", path] as const,
  content: (project: string, commit: string, path: string, limit: number) =>
    [...keys.commit(project, commit), "content", path, limit] as const,
};

/** A snapshot never changes, so what was read of it never becomes stale. */
const IMMUTABLE = { staleTime: Infinity } as const;

export const sessionQuery = () =>
  queryOptions({
    queryKey: keys.session,
    queryFn: ({ signal }) => getJson<Session>(["session"], { signal }),
  });

export const projectsQuery = () =>
  infiniteQueryOptions({
    queryKey: keys.projectList,
    initialPageParam: "",
    queryFn: ({ signal, pageParam }) =>
      getJson<List<Project>>(["projects"], { signal, query: { limit: PAGE, cursor: pageParam || undefined } }),
    getNextPageParam: (page) => page.next,
  });

export const projectQuery = (project: string) =>
  queryOptions({
    queryKey: keys.details(project),
    queryFn: ({ signal }) => getJson<Project>(["projects", project], { signal }),
  });

export const columnsQuery = (project: string) =>
  queryOptions({
    queryKey: keys.columns(project),
    queryFn: ({ signal }) => getJson<Columns>(["projects", project, "columns"], { signal }),
  });

/** The newest runs, whose values are the columns that a table starts with. */
export const newestRunsQuery = (project: string) =>
  queryOptions({
    queryKey: keys.newestRuns(project),
    queryFn: async ({ signal }): Promise<Run[]> => {
      const query = { limit: NEWEST_RUNS };
      const page = await getJson<List<WireRun>>(["projects", project, "runs"], { signal, query });
      return page.items.map(readRun);
    },
  });

export const runsQuery = (project: string, listing: Listing) =>
  infiniteQueryOptions({
    queryKey: keys.runList(project, listing),
    initialPageParam: "",
    queryFn: async ({ signal, pageParam }): Promise<List<Run>> => {
      const query = { limit: PAGE, cursor: pageParam || undefined, ...listing };
      const page = await getJson<List<WireRun>>(["projects", project, "runs"], { signal, query });
      return { ...page, items: page.items.map(readRun) };
    },
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
  });

export const runQuery = (project: string, run: string) =>
  queryOptions({
    queryKey: keys.run(project, run),
    queryFn: async ({ signal }) =>
      readRunDetails(await getJson<WireRun<RunDetails>>(["projects", project, "runs", run], { signal })),
  });

/** The first of the runs that are not published yet: there are seldom many. */
export const liveRunsQuery = (project: string) =>
  queryOptions({
    queryKey: keys.liveRuns(project),
    queryFn: async ({ signal }): Promise<List<LiveRun>> => {
      const query = { limit: LIVE_RUNS };
      const page = await getJson<List<WireRun<LiveRun>>>(["projects", project, "live-runs"], { signal, query });
      return { ...page, items: page.items.map(readLiveRun) };
    },
    refetchInterval: LIVE_CHECK_MS,
  });

export const liveRunQuery = (project: string, run: string) =>
  queryOptions({
    queryKey: keys.liveRun(project, run),
    queryFn: async ({ signal }) =>
      readLiveRun(await getJson<WireRun<LiveRun>>(["projects", project, "live-runs", run], { signal })),
    refetchInterval: LIVE_CHECK_MS,
  });

/** The metrics of a run that have points, with the curves of those named; of the first ones by default. */
export const metricsQuery = (project: string, run: string, names?: readonly string[]) =>
  queryOptions({
    queryKey: [...keys.metrics(project, run), names ?? null] as const,
    queryFn: ({ signal }) => {
      const query = { points: CURVE_POINTS, names: names && JSON.stringify(names) };
      return getJson<RunMetrics>(["projects", project, "runs", run, "metrics"], { signal, query });
    },
  });

export const modelsQuery = (project: string) =>
  infiniteQueryOptions({
    queryKey: keys.models(project),
    initialPageParam: "",
    queryFn: ({ signal, pageParam }) =>
      getJson<List<Model>>(["projects", project, "models"], {
        signal,
        query: { limit: PAGE, cursor: pageParam || undefined },
      }),
    getNextPageParam: (page) => page.next,
  });

export const modelVersionsQuery = (project: string, model: string) =>
  infiniteQueryOptions({
    queryKey: keys.modelVersions(project, model),
    initialPageParam: "",
    queryFn: ({ signal, pageParam }) =>
      getJson<List<ModelVersion>>(["projects", project, "models", model, "versions"], {
        signal,
        query: { limit: PAGE, cursor: pageParam || undefined },
      }),
    getNextPageParam: (page) => page.next,
  });

/** What is one step away: the page of the next run shows the next step. */
export const traceQuery = (project: string, run: string, direction: Direction) =>
  queryOptions({
    queryKey: keys.trace(project, run, direction),
    queryFn: ({ signal }) =>
      getJson<Trace>(["projects", project, "runs", run, "trace"], { signal, query: { direction, depth: 1 } }),
  });

export const commitsQuery = (project: string) =>
  infiniteQueryOptions({
    queryKey: keys.commits(project),
    initialPageParam: "",
    queryFn: ({ signal, pageParam }) =>
      getJson<List<CommitInfo>>(["projects", project, "commits"], {
        signal,
        query: { limit: PAGE, cursor: pageParam || undefined },
      }),
    getNextPageParam: (page) => page.next,
  });

export const commitQuery = (project: string, commit: string) =>
  queryOptions({
    queryKey: keys.commit(project, commit),
    queryFn: ({ signal }) => getJson<CommitInfo>(["projects", project, "commits", commit], { signal }),
  });

export const treeQuery = (project: string, commit: string, path: string) =>
  queryOptions({
    queryKey: keys.tree(project, commit, path),
    queryFn: ({ signal }) =>
      getJson<Tree>(["projects", project, "commits", commit, "tree"], { signal, query: { path } }),
    ...IMMUTABLE,
  });

/** The first `limit` bytes of a file, so that a preview of a huge file costs what it shows. */
export const contentQuery = (project: string, commit: string, path: string, limit: number) =>
  queryOptions({
    queryKey: keys.content(project, commit, path, limit),
    queryFn: async ({ signal }) => {
      const headers = { Range: `bytes=0-${limit - 1}` };
      const segments = ["projects", project, "commits", commit, "content"];
      const response = await send(segments, { signal, headers, query: { path } }).catch(emptyFile);
      return response ? new Uint8Array(await response.arrayBuffer()) : new Uint8Array();
    },
    ...IMMUTABLE,
    gcTime: 60_000,
  });

/** An empty file has no first byte, so a server refuses the range (RFC 9110 §15.5.17). */
function emptyFile(error: unknown): null {
  if (error instanceof HubError && error.status === 416) return null;
  throw error;
}

/** A list of the hub whose pages are fetched as they are needed. */
function listQuery<T>(queryKey: readonly unknown[], segments: readonly string[], query: Record<string, string> = {}) {
  return infiniteQueryOptions({
    queryKey,
    initialPageParam: "",
    queryFn: ({ signal, pageParam }) =>
      getJson<List<T>>(segments, { signal, query: { ...query, limit: PAGE, cursor: pageParam || undefined } }),
    getNextPageParam: (page) => page.next,
  });
}

export const trashedProjectsQuery = () => listQuery<Project>(keys.projectTrash, ["projects"], { trash: "true" });

export const collaboratorsQuery = (project: string) =>
  listQuery<Collaborator>(keys.collaborators(project), ["projects", project, "collaborators"]);

export const accountsQuery = () => listQuery<Person>(keys.accounts, ["accounts"]);

export const tokensQuery = () => listQuery<Token>(keys.tokens, ["tokens"]);

export const auditQuery = (project: string | null) =>
  project === null
    ? listQuery<AuditEntry>(keys.audit, ["audit"])
    : listQuery<AuditEntry>(keys.projectAudit(project), ["projects", project, "audit"]);

export const sessionsQuery = () =>
  queryOptions({
    queryKey: keys.sessions,
    queryFn: ({ signal }) => getJson<BrowserSession[]>(["sessions"], { signal }),
  });

export const commentsQuery = (project: string, run: string) =>
  listQuery<Comment>(keys.comments(project, run), ["projects", project, "runs", run, "comments"]);

export const trashQuery = (project: string) =>
  infiniteQueryOptions({
    queryKey: keys.trash(project),
    initialPageParam: "",
    queryFn: async ({ signal, pageParam }): Promise<List<Run>> => {
      const query = { limit: PAGE, cursor: pageParam || undefined };
      const page = await getJson<List<WireRun>>(["projects", project, "trash"], { signal, query });
      return { ...page, items: page.items.map(readRun) };
    },
    getNextPageParam: (page) => page.next,
  });

export const comparisonQuery = (project: string, runs: readonly string[]) =>
  queryOptions({
    queryKey: keys.comparison(project, runs),
    queryFn: async ({ signal }): Promise<Comparison> => {
      const query = { runs: runs.join(",") };
      const found = await getJson<Comparison>(["projects", project, "compare"], { signal, query });
      return { ...found, runs: found.runs.map(readRun) };
    },
    enabled: runs.length > 1,
  });

/** What a commit has changed. */
export const diffQuery = (project: string, commit: string) =>
  queryOptions({
    queryKey: keys.diff(project, commit),
    queryFn: ({ signal }) => getJson<CommitDiff>(["projects", project, "commits", commit, "diff"], { signal }),
    ...IMMUTABLE,
  });

export const fileDiffQuery = (project: string, commit: string, path: string) =>
  queryOptions({
    queryKey: keys.fileDiff(project, commit, path),
    queryFn: ({ signal }) =>
      getJson<FileDiff>(["projects", project, "commits", commit, "diff", "file"], { signal, query: { path } }),
    ...IMMUTABLE,
  });
