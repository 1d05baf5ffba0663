/** The hub refused a request: its problem document (RFC 9457) as an error. */
export class HubError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly type: string | null,
    readonly requestId: string | null,
    /** The character of a filter at which it cannot be understood. */
    readonly position: number | null = null,
  ) {
    super(detail || title);
    this.name = "HubError";
  }
}

/** No answer came, or one that is not the hub's; a retry may help. */
export class HubUnreachable extends Error {
  constructor(options?: ErrorOptions) {
    super("The hub does not answer. Is it running, and is this machine online?", options);
    this.name = "HubUnreachable";
  }
}

export function isUnauthenticated(error: unknown): boolean {
  return error instanceof HubError && error.status === 401;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof HubError && error.status === 404;
}

/** Whether the hub refused a filter, not the request as such. */
export function isAboutFilter(error: unknown): error is HubError {
  return error instanceof HubError && /\/(invalid-filter|filter-too-slow)$/.test(error.type ?? "");
}

/** Whether asking again can give another answer: not for what the hub refused on purpose. */
export function isWorthRetrying(error: unknown): boolean {
  return error instanceof HubUnreachable || (error instanceof HubError && error.status >= 500);
}

/** Reads the problem document of a failed response; a proxy's page of HTML becomes a plain status. */
export async function readProblem(response: Response): Promise<HubError> {
  const document = await readDocument(response);
  const title = text(document["title"]) ?? (response.statusText || `Status ${response.status}`);
  return new HubError(
    response.status,
    title,
    text(document["detail"]) ?? "",
    text(document["type"]),
    text(document["request_id"]) ?? response.headers.get("x-request-id"),
    typeof document["position"] === "number" ? document["position"] : null,
  );
}

async function readDocument(response: Response): Promise<Record<string, unknown>> {
  if (!response.headers.get("content-type")?.includes("json")) return {};
  try {
    const document: unknown = await response.json();
    return typeof document === "object" && document !== null ? { ...document } : {};
  } catch {
    return {}; // a truncated body: the status alone still says what happened
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
