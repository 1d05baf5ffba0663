/** Where to go on to, in the address of the pages that sign in. */
export function readNextSearch({ next }: Record<string, unknown>): { next?: string | undefined } {
  return { next: typeof next === "string" ? next : undefined };
}

/** Where to go after signing in: only a path of this hub, because a crafted link must not lead to another site. */
export function localPath(next: string | undefined): string {
  if (!next?.startsWith("/")) return "/";
  const target = new URL(next, window.location.origin);
  const isOurs = target.origin === window.location.origin && !target.pathname.startsWith("//");
  return isOurs ? target.pathname + target.search : "/";
}
