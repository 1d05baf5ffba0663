/**
 * A hub in memory that speaks docs/design/interfaces.md §4 over real HTTP and WebSockets, for tests and for work on the
 * screens without a hub. Never part of the product.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import type { Session, Columns, CommitInfo, LiveRun, ModelVersion, Project, RunDetails, RunMetrics, TraceEdge, Tree, TreeEntry, Value } from "../src/api/types";
import { isOrHas, overwrittenOf } from "../src/lib/run";
import { ServerSocket } from "./sockets";

const CODE = "the-code";

export interface Snapshot {
  info: CommitInfo;
  files: Record<string, string | Buffer>;
}

interface Failure {
  status: number;
  title: string;
  detail: string;
  type?: string;
  position?: number;
}

export class FakeHub {
  projects: Project[] = [];
  runs: RunDetails[] = [];
  liveRuns: LiveRun[] = [];
  readonly metrics = new Map<string, RunMetrics>();
  snapshots: Snapshot[] = [];
  isSignedIn = true;
  account: Session = {
    account: { id: "a1", name: "ada" },
    scopes: ["runs:read"],
    is_admin: true,
    has_password: true,
    by_login_link: false,
    is_operator: true,
  };
  /** Paths answered with a problem while they are in here. */
  readonly failures = new Map<string, Failure>();
  /** Answers to single operations ("PATCH /api/v1/…"), from what was sent; a status other than 200 comes first. */
  readonly answers = new Map<string, (body: unknown) => object | [number, object | null]>();
  readonly requests: string[] = [];
  readonly subscriptions: string[][] = [];
  /** What comes before every path, as behind a proxy that serves more than the hub. */
  prefix = "";
  private readonly usedCodes = new Set<string>();
  private readonly sockets = new Set<ServerSocket>();
  private readonly numbers = new Map<string, number>();
  private server: Server | undefined;

  /** The path of a request below the prefix; one that is not below it finds nothing. */
  private below(request: IncomingMessage): string {
    const url = request.url ?? "/";
    return url.startsWith(`${this.prefix}/`) ? url.slice(this.prefix.length) : "/outside";
  }

  /** Starts on a free port of the loopback interface; `fallback` answers what is not below /api. */
  async start(port = 0, fallback?: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const server = createServer((request, response) => {
      request.url = this.below(request);
      if (fallback && !request.url?.startsWith("/api/")) fallback(request, response);
      else void this.answer(request, response);
    });
    server.on("upgrade", (request, stream) => {
      request.url = this.below(request);
      const socket = new ServerSocket(
        stream,
        request,
        (text) => this.subscribe(socket, (JSON.parse(text) as { subscribe: string[] }).subscribe),
        () => this.sockets.delete(socket),
      );
      this.sockets.add(socket);
    });
    this.server = server;
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.dropConnections();
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }

  addRun(run: RunDetails): void {
    this.runs.unshift(run);
    this.emit(`project:${run.project_id}`, "run.created", run.id);
    this.emit("projects", "commit.created", run.project_id);
  }

  emit(topic: string, type: string, id: string): void {
    const seq = (this.numbers.get(topic) ?? 0) + 1;
    this.numbers.set(topic, seq);
    for (const socket of this.sockets) socket.send({ topic, seq, type, id });
  }

  dropConnections(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  /** Loses an event: it is counted, and nobody hears of it. */
  lose(topic: string): void {
    this.numbers.set(topic, (this.numbers.get(topic) ?? 0) + 1);
  }

  private subscribe(socket: ServerSocket, topics: string[]): void {
    this.subscriptions.push(topics);
    for (const topic of topics) {
      socket.send({ topic, seq: this.numbers.get(topic) ?? 0, type: "subscribed", id: "" });
    }
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://hub");
    this.requests.push(`${request.method} ${url.pathname}${url.search}`);
    const failure = this.failures.get(url.pathname);
    const body = await readBody(request);
    const answer = this.answers.get(`${request.method} ${url.pathname}`);
    if (failure) sendProblem(response, failure);
    else if (answer) sendAnswer(response, answer(body ? JSON.parse(body) : null));
    else this.route(request, response, url, body);
  }

  private route(request: IncomingMessage, response: ServerResponse, url: URL, body: string): void {
    const [, , , resource, project, kind, id, view] = url.pathname.split("/").map(decodeURIComponent);
    if (resource === "sessions") return this.signIn(response, body);
    if (!this.isSignedIn) {
      return sendProblem(response, { status: 401, title: "Not signed in", detail: "Ask for a login link." });
    }
    if (resource === "session") return this.session(request, response);
    if (project === undefined) return sendJson(response, 200, listOf(this.projects));
    const found = this.projects.find((candidate) => candidate.id === project);
    if (!found) return notFound(response, "No such project");
    if (kind === undefined) return sendJson(response, 200, found);
    if (kind === "runs" && view === "comments") return sendJson(response, 200, listOf([]));
    if (kind === "columns") return sendJson(response, 200, this.columns(project));
    if (kind === "runs" && view === "trace") return this.trace(response, url, project, id);
    if (kind === "runs" && view === "metrics") return this.metricsOf(response, url, id ?? "");
    if (kind === "live-runs") return this.liveRoutes(response, url, project, id);
    if (kind === "runs") return this.runRoutes(response, url, project, id);
    if (kind === "models") return this.modelRoutes(response, url, project, id);
    return this.commitRoutes(request, response, url, id, view);
  }

  private signIn(response: ServerResponse, body: string): void {
    const { code } = JSON.parse(body) as { code?: string };
    if (code === undefined || code !== CODE || this.usedCodes.has(code)) {
      return sendProblem(response, { status: 401, title: "Login code refused", detail: "Ask for a new link." });
    }
    this.usedCodes.add(code);
    this.isSignedIn = true;
    sendJson(response, 201, { account: this.account.account });
  }

  private session(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== "DELETE") {
      return sendJson(response, 200, this.account);
    }
    this.isSignedIn = false;
    response.writeHead(204).end();
  }

  private runRoutes(response: ServerResponse, url: URL, project: string, id: string | undefined): void {
    const runs = this.runs.filter((run) => run.project_id === project);
    const filter = url.searchParams.get("filter");
    if (id === undefined && filter !== null) return this.filteredRuns(response, url, runs, filter);
    if (id === undefined) return sendJson(response, 200, page(sorted(runs, url), url));
    const run = runs.find((candidate) => candidate.id === id);
    if (!run) return notFound(response, "No such run");
    sendJson(response, 200, run);
  }

  private liveRoutes(response: ServerResponse, url: URL, project: string, id: string | undefined): void {
    const runs = this.liveRuns.filter((run) => run.project_id === project);
    if (id === undefined) return sendJson(response, 200, page(runs.filter((run) => run.status !== "published"), url));
    const run = runs.find((candidate) => candidate.id === id);
    if (!run) return notFound(response, "No such run");
    sendJson(response, 200, run);
  }

  private metricsOf(response: ServerResponse, url: URL, run: string): void {
    const none = { run_id: run, status: "published", points: 0, dropped: 0, metrics: [], curves: [] } as const;
    const found: RunMetrics = this.metrics.get(run) ?? { ...none, metrics: [], curves: [] };
    const names = url.searchParams.get("names");
    const isWanted = (name: string, index: number) => (names === null ? index < 20 : (JSON.parse(names) as string[]).includes(name));
    sendJson(response, 200, { ...found, curves: found.curves.filter(({ name }, index) => isWanted(name, index)) });
  }

  /** One step, by content hashes alone. */
  private trace(response: ServerResponse, url: URL, project: string, id: string | undefined): void {
    const runs = this.runs.filter((run) => run.project_id === project);
    const start = runs.find((run) => run.id === id);
    if (!start) return notFound(response, "No such run");
    const isUp = url.searchParams.get("direction") !== "downstream";
    const others = runs.filter((run) => run !== start);
    const edges = others.flatMap((run) => (isUp ? edgesBetween(run, start) : edgesBetween(start, run)));
    const around = new Set([start, ...runs.filter((run) => edges.some((edge) => [edge.maker, edge.reader].includes(run.id)))]);
    const described = [...around].map((run) => ({ ...run, number: run.seq, title: run.record.description }));
    sendJson(response, 200, { runs: described, edges, unclaimed: [], more: [] });
  }

  private modelRoutes(response: ServerResponse, url: URL, project: string, name: string | undefined): void {
    const models = modelsOf(this.runs.filter((run) => run.project_id === project));
    if (name === undefined) {
      const listed = [...models].map(([model, versions]) => ({
        name: model,
        versions: versions.length,
        updated_at: versions[0]?.ingested_at,
      }));
      return sendJson(response, 200, page(listed, url));
    }
    const versions = models.get(name);
    if (!versions) return notFound(response, "No such model");
    sendJson(response, 200, page(versions, url));
  }

  /** Understands `summary.NAME > NUMBER` and nothing else. */
  private filteredRuns(response: ServerResponse, url: URL, runs: RunDetails[], filter: string): void {
    const [, name, limit] = /^summary\.(\w+) > ([\d.]+)$/.exec(filter) ?? [];
    if (name === undefined) {
      const position = Math.max(filter.indexOf(">"), 0);
      const detail = `filter, at character ${position + 1}: expected something else`;
      return sendProblem(response, { status: 400, title: "Invalid filter", type: "/problems/invalid-filter", detail, position });
    }
    sendJson(response, 200, page(runs.filter((run) => Number(run.record.summary[name]) > Number(limit)), url));
  }

  private commitRoutes(request: IncomingMessage, response: ServerResponse, url: URL, id?: string, view?: string): void {
    if (id === undefined) return sendJson(response, 200, page(this.snapshots.map(({ info }) => info), url));
    const snapshot = this.snapshots.find(({ info }) => info.id === id);
    if (!snapshot) return notFound(response, "No such commit");
    const path = url.searchParams.get("path") ?? "";
    if (view === undefined) return sendJson(response, 200, snapshot.info);
    if (view === "diff") return sendJson(response, 200, { before: null, after: id, changes: [], is_whole: true });
    if (view === "tree") return sendJson(response, 200, treeOf(snapshot, path));
    const content = snapshot.files[path];
    if (content === undefined) return notFound(response, "No such file");
    sendContent(request, response, path, Buffer.from(content));
  }

  private columns(project: string): Columns {
    const records = this.runs.filter((run) => run.project_id === project).map((run) => run.record);
    const names = (read: (record: RunDetails["record"]) => Record<string, Value>) => [
      ...new Set(records.flatMap((record) => Object.keys(read(record)))),
    ];
    return {
      parameters: names((record) => record.parameters),
      summary: names((record) => record.summary),
      labels: names((record) => record.labels),
      tags: [],
    };
  }
}

function edgesBetween(maker: RunDetails, reader: RunDetails): TraceEdge[] {
  return reader.record.inputs.flatMap((input) =>
    maker.record.outputs
      .filter((output) => output.content_hash === input.content_hash)
      .map((output) => ({
        maker: maker.id,
        reader: reader.id,
        path: input.path,
        made_as: output.path,
        content_hash: input.content_hash ?? "",
      })),
  );
}

/** Versions by model, newest first, as the hub numbers them: runs are in the order newest first. */
function modelsOf(runs: RunDetails[]): Map<string, ModelVersion[]> {
  const models = new Map<string, ModelVersion[]>();
  for (const run of [...runs].reverse()) {
    for (const { name, type, version, files } of run.record.models) {
      const versions = models.get(name) ?? [];
      const number = versions.length + 1;
      const lost = overwrittenOf(run.record);
      const overwritten = Object.values(files).filter((path) => isOrHas(path, lost));
      const made = { model: name, number, type, framework_version: version, files, overwritten, run_id: run.id };
      models.set(name, [{ ...made, commit: run.commit ?? "", ingested_at: run.ingested_at }, ...versions]);
    }
  }
  return models;
}

function sorted(runs: RunDetails[], url: URL): RunDetails[] {
  const [kind, ...rest] = (url.searchParams.get("sort") ?? "").split(".");
  if (kind !== "summary" && kind !== "param" && kind !== "label") return runs;
  const field = ({ summary: "summary", param: "parameters", label: "labels" } as const)[kind];
  const value = (run: RunDetails) => Number(run.record[field][rest.join(".")] ?? Infinity);
  const ascending = [...runs].sort((a, b) => value(a) - value(b));
  return url.searchParams.get("order") === "asc" ? ascending : ascending.reverse();
}

function page<T>(items: T[], url: URL): object {
  const limit = Number(url.searchParams.get("limit") ?? 50);
  const start = Number(url.searchParams.get("cursor") ?? 0);
  const next = start + limit < items.length ? String(start + limit) : null;
  return { ...listOf(items.slice(start, start + limit)), next, total: items.length };
}

function listOf<T>(items: T[]): object {
  return { items, next: null, total: items.length, total_is_exact: true };
}

function treeOf(snapshot: Snapshot, directory: string): Tree {
  const prefix = directory === "" ? "" : `${directory}/`;
  const entries = new Map<string, TreeEntry>();
  for (const [path, content] of Object.entries(snapshot.files)) {
    if (!path.startsWith(prefix)) continue;
    const [name = "", ...below] = path.slice(prefix.length).split("/");
    const kind = below.length > 0 ? "directory" : "file";
    const modified_at = snapshot.info.created_at;
    entries.set(name, { name, kind, size: content.length, mode: 0o644, modified_at, content_hash: "0".repeat(64) });
  }
  return { path: directory, entries: [...entries.values()], total: entries.size };
}

const TYPES: Record<string, string> = { png: "image/png", svg: "image/svg+xml", html: "text/html" };

function sendContent(request: IncomingMessage, response: ServerResponse, path: string, content: Buffer): void {
  const range = /^bytes=0-(\d+)$/.exec(request.headers.range ?? "");
  response.setHeader("Content-Type", TYPES[path.split(".").at(-1) ?? ""] ?? "application/octet-stream");
  response.setHeader("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:");
  if (range && content.length === 0) {
    return sendProblem(response, { status: 416, title: "Range not satisfiable", detail: "The file is empty." });
  }
  response.writeHead(range ? 206 : 200).end(range ? content.subarray(0, Number(range[1]) + 1) : content);
}

function notFound(response: ServerResponse, detail: string): void {
  sendProblem(response, { status: 404, title: "Not found", detail });
}

function sendProblem(response: ServerResponse, { status, title, detail, type = "/problems/x", position }: Failure): void {
  response.writeHead(status, { "Content-Type": "application/problem+json" });
  response.end(JSON.stringify({ type, title, status, detail, position, request_id: "req-4711" }));
}

function sendAnswer(response: ServerResponse, answer: object | [number, object | null]): void {
  const [status, body] = Array.isArray(answer) && typeof answer[0] === "number" ? answer : [200, answer];
  if (body === null) response.writeHead(status).end();
  else if (status < 400) sendJson(response, status, body);
  else sendProblem(response, { status, title: "No", detail: "", ...body });
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
