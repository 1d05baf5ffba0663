/**
 * What the hub answers, field for field (docs/design/interfaces.md §4 and dotscience/record.py).
 *
 * Times are RFC 3339 in UTC, hashes are hex, sizes are bytes.
 */

/** A parameter, label or summary value. NaN and infinities are the strings "nan", "inf" and "-inf". */
export type Value = null | boolean | number | string | Value[] | { [key: string]: Value };

export type Authority = "workload" | "derived" | "correction" | "remote";

export interface Account {
  id: string;
  name: string;
}

export interface Session {
  account: Account;
  scopes: string[];
  is_admin: boolean;
  has_password: boolean;
  /** Whether a login link began this session, which may then choose a password without the one before. */
  by_login_link: boolean;
  /** Whether commands on the hub's machine make login links for the account. */
  is_operator: boolean;
}

/** An account as administrators see it. */
export interface Person {
  id: string;
  name: string;
  role: "admin" | "member" | "disabled";
  created_at: string;
  has_password: boolean;
}

/** A link that signs one browser in, once. */
export interface LoginLink {
  code: string;
  url: string;
  expires_at: string;
}

export type ProjectRole = "viewer" | "editor" | "owner";

export interface Collaborator {
  id: string;
  name: string;
  role: ProjectRole;
  added_at: string;
}

export interface BrowserSession {
  id: string;
  created_at: string;
  last_used_at: string;
  expires_at: string;
  is_current: boolean;
}

export interface Token {
  id: string;
  name: string;
  scopes: string[];
  project_id: string | null;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

/** Who did what, with its outcome in HTTP; the names are those of then. One entry is `count` refusals by a limit. */
export interface AuditEntry {
  at: string;
  last_at: string;
  count: number;
  account_id: string | null;
  account: string;
  credential: string;
  client: string;
  action: string;
  project_id: string | null;
  project_name: string | null;
  target: string;
  status: number;
}

export interface List<T> {
  items: T[];
  next: string | null;
  total: number;
  total_is_exact: boolean;
}

export interface Project {
  id: string;
  name: string;
  dot_id: string | null;
  created_at: string;
  runs: number;
  last_run_at: string | null;
  head: string | null;
  is_public: boolean;
  /** What the reader is in it; null where they only see it because it is public. */
  role: ProjectRole | null;
}

export interface FileRef {
  path: string;
  content_hash?: string | null;
  size?: number | null;
  dot?: string | null;
  commit?: string | null;
  missing?: boolean;
  outside?: boolean;
  changed_after_read?: boolean;
  /** A later run has written another content before the snapshot was taken. */
  overwritten?: boolean;
  observed?: boolean;
}

export interface ModelArtefact {
  name: string;
  type: string;
  version: string | null;
  files: Record<string, string>;
}

export interface Place {
  notebook?: string | null;
  cell_id?: string | null;
  kernel_id?: string | null;
  host?: string | null;
  pid?: number | null;
}

/** `error` is null for success; any string, even an empty one, is a failure. */
export interface RunRecord {
  run_id: string;
  authority: Authority;
  description: string | null;
  error: string | null;
  traceback: string | null;
  started_at: string | null;
  ended_at: string | null;
  mode: string | null;
  workload_file: string | null;
  parameters: Record<string, Value>;
  summary: Record<string, Value>;
  labels: Record<string, Value>;
  inputs: FileRef[];
  outputs: FileRef[];
  models: ModelArtefact[];
  place: Place | null;
  environment: string | null;
  notebook_stale: boolean;
  warnings: string[];
}

export interface Environment {
  captured_at: string;
  python: string;
  implementation: string;
  platform: string;
  hostname: string;
  executable: string;
  cpu: string | null;
  cpu_count: number | null;
  ram_bytes: number | null;
  gpus: string[];
  git_commit: string | null;
  git_dirty: boolean | null;
  packages: Record<string, string>;
  variables: Record<string, string>;
}

export interface Run {
  id: string;
  project_id: string;
  seq: number;
  commit: string | null;
  ingested_at: string;
  warnings: string[];
  record: RunRecord;
  /** What people say about it, beside the record. */
  name: string;
  notes: string;
  tags: string[];
  /** Counts the changes to what people say. */
  version: number;
  comments: number;
  /** Since when it is in the trash. */
  deleted_at: string | null;
}

export interface Comment {
  id: number;
  author: string;
  text: string;
  created_at: string;
  edited_at: string | null;
}

/** What each of the compared runs has under a name, in their order. */
export interface ComparedValue {
  name: string;
  values: Value[];
  differs: boolean;
}

export interface ComparedFile {
  direction: "input" | "output";
  path: string;
  content_hashes: (string | null)[];
  differs: boolean;
}

export interface Comparison {
  runs: Run[];
  parameters: ComparedValue[];
  summary: ComparedValue[];
  labels: ComparedValue[];
  files: ComparedFile[];
}

export interface RunDetails extends Run {
  environment: Partial<Environment> | null;
}

/** A value of a metric at a step; JSON has no numbers for those that are not finite. */
export type MetricValue = number | "nan" | "inf" | "-inf";

/** Step, microseconds since 1970, value. */
export type CurvePoint = readonly [step: number, at: number, value: MetricValue];

/** The last point of a metric that came, and how many came. */
export interface LastValue {
  name: string;
  points: number;
  step: number;
  at: number;
  value: MetricValue;
}

export type LiveStatus = "running" | "ended" | "lost" | "published";

/** A run that is not published yet; `record` is the run as it was at its first point. */
export interface LiveRun {
  id: string;
  project_id: string;
  status: LiveStatus;
  started_at: string;
  heard_at: string;
  points: number;
  dropped: number;
  latest: LastValue[];
  record: RunRecord;
}

/** Points in the order of steps; where `sampled`, the extremes of each part of all that there are. */
export interface Curve {
  name: string;
  sampled: boolean;
  points: CurvePoint[];
}

export interface RunMetrics {
  run_id: string;
  status: LiveStatus;
  points: number;
  dropped: number;
  metrics: LastValue[];
  curves: Curve[];
}

/** The names in use in a project, in the hub's order. */
export interface Columns {
  parameters: string[];
  summary: string[];
  labels: string[];
  tags: string[];
}

export type Direction = "upstream" | "downstream";

export interface TraceRun {
  id: string;
  project_id: string;
  number: number;
  commit: string;
  status: string;
  started_at: string;
  title: string | null;
}

/** The run `reader` read at `path` what the run `maker` had written at `made_as`. */
export interface TraceEdge {
  maker: string;
  reader: string;
  path: string;
  made_as: string;
  content_hash: string;
}

/** Runs around one, nearest first; `more` are those that were not gone into any further. */
export interface Trace {
  runs: TraceRun[];
  edges: TraceEdge[];
  more: string[];
}

/** A name under which runs have published models. */
export interface Model {
  name: string;
  versions: number;
  updated_at: string;
}

/** What one run published under a model's name; `files` maps roles to paths in the commit. */
export interface ModelVersion {
  model: string;
  number: number;
  type: string;
  framework_version: string | null;
  files: Record<string, string>;
  /** Those of the files' paths where the commit has what a later run wrote, there or below. */
  overwritten: string[];
  run_id: string;
  commit: string;
  ingested_at: string;
}

export interface CommitInfo {
  id: string;
  parents: string[];
  branch: string | null;
  created_at: string;
  message: string;
  author: string;
  client: string;
  consistency: "atomic" | "file-atomic" | "stable" | "fuzzy";
  unstable: string[];
  files: number;
  size: number;
  new_bytes: number;
  runs: string[];
  /** Who brought it to the hub, as the hub knows; null for commits from before it noted that. */
  pushed_by?: { account: string; credential: string } | null;
}

export interface FileChange {
  path: string;
  change: "added" | "removed" | "changed";
  kind: "file" | "directory" | "symlink";
  only_mode: boolean;
  size_before: number | null;
  size_after: number | null;
  quoted_path?: string | null;
}

/** What differs between two commits; without `before` everything is new. */
export interface CommitDiff {
  before: string | null;
  after: string;
  changes: FileChange[];
  is_whole: boolean;
}

export interface NotebookCell {
  kind: "added" | "removed" | "changed";
  cell_type: string;
  before: number | null;
  after: number | null;
  /** A unified diff of the source. */
  lines: string[];
  outputs: boolean;
}

export interface FileDiff {
  path: string;
  kind: "text" | "notebook" | "binary" | "too-large" | "same";
  lines: string[];
  cells: NotebookCell[];
}

export interface TreeEntry {
  name: string;
  kind: "file" | "directory" | "symlink";
  size: number | null;
  mode: number | null;
  modified_at: string | null;
  content_hash: string | null;
  /** Set where the name is not UTF-8: its bytes, percent-encoded. */
  quoted_name?: string | null;
  /** Where a symbolic link points. */
  target?: string | null;
}

/** A folder; `total` counts all its entries, of which a huge folder shows the first. */
export interface Tree {
  path: string;
  entries: TreeEntry[];
  total: number;
}
