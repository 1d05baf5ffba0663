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
  dir?: string;
  file?: string;
}

export function readFilesSearch(search: Record<string, unknown>): FilesSearch {
  return {
    ...(typeof search["dir"] === "string" && search["dir"] !== "" ? { dir: search["dir"] } : {}),
    ...(typeof search["file"] === "string" && search["file"] !== "" ? { file: search["file"] } : {}),
  };
}
