/**
 * The path below which the hub serves this page and its API: "/", or "/dotscience/" behind a proxy that serves more.
 *
 * The hub writes it into the page; a page that no hub has served has "./" there.
 */
export function basePath(): string {
  const written = document.querySelector<HTMLMetaElement>('meta[name="base-path"]')?.content;
  return written?.startsWith("/") ? written : "/";
}

/** The URL of a path below it; `path` begins without a slash. */
export function hubUrl(path: string): URL {
  return new URL(basePath() + path, window.location.origin);
}
