/** Paths inside a snapshot: relative to its root, "/"-separated; the root itself is "". */

export function joinPath(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

export function parentOf(path: string): string {
  const cut = path.lastIndexOf("/");
  return cut < 0 ? "" : path.slice(0, cut);
}

export function nameIn(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The directories on the way to a path, from below the root to the path itself. */
export function trail(path: string): string[] {
  const parts = path.split("/").filter(Boolean);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** What the file browser shows; the directory defaults to that of the open file. */
export interface FilesSearch {
  dir?: string | undefined;
  file?: string | undefined;
}

/** Every field is set: the router keeps the raw value of those that are not. */
export function readFilesSearch(search: Record<string, unknown>): FilesSearch {
  return { dir: readPath(search["dir"]), file: readPath(search["file"]) };
}

/** A file named `1` or `true` reaches us as a number or a boolean, as the router reads search values as JSON. */
function readPath(value: unknown): string | undefined {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}
