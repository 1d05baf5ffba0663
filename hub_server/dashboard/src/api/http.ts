import { parseJson } from "./json";
import { HubUnreachable, readProblem } from "./problem";

type Query = Record<string, string | number | undefined>;

interface Options {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  query?: Query;
  body?: object;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** The URL of an operation; every path segment is escaped, undefined query parameters are left out. */
export function apiUrl(segments: readonly string[], query: Query = {}): string {
  const path = ["api", "v1", ...segments].map(encodeURIComponent).join("/");
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  const suffix = parameters.size > 0 ? `?${parameters}` : "";
  return new URL(`/${path}${suffix}`, window.location.origin).href;
}

/**
 * Sends one request with the session's cookie.
 *
 * @throws HubError when the hub refuses, HubUnreachable when nothing answers.
 */
export async function send(segments: readonly string[], options: Options = {}): Promise<Response> {
  const { method = "GET", query, body, headers, signal } = options;
  const init: RequestInit = { method, credentials: "same-origin", headers: { ...headers } };
  if (signal) init.signal = signal;
  if (body) {
    init.body = JSON.stringify(body);
    init.headers = { ...headers, "Content-Type": "application/json" };
  }
  const response = await answer(apiUrl(segments, query), init);
  if (!response.ok) throw await readProblem(response);
  return response;
}

/** As `send`, for an operation that answers JSON. */
export async function getJson<T>(segments: readonly string[], options: Options = {}): Promise<T> {
  const response = await send(segments, options);
  return parseJson<T>(await response.text());
}

async function answer(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (init.signal?.aborted) throw error; // the query was cancelled, nothing is wrong with the hub
    throw new HubUnreachable({ cause: error });
  }
}
