export type Kind = "image" | "page" | "notebook" | "markdown" | "table" | "text";

const IMAGES = new Set(["png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "bmp", "ico"]);
const PAGES = new Set(["html", "htm", "xhtml"]);

/** How a file is shown, by its name alone: the hub does not guess types either. */
export function kindOf(path: string): Kind {
  const extension = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  if (IMAGES.has(extension)) return "image";
  if (PAGES.has(extension)) return "page";
  if (extension === "md" || extension === "markdown") return "markdown";
  if (extension === "csv" || extension === "tsv") return "table";
  return extension === "ipynb" ? "notebook" : "text";
}

export interface Text {
  content: string;
  /** The file goes on after what was read. */
  isCut: boolean;
}

/**
 * The bytes as UTF-8 text, or null where they are not text: a NUL byte or a broken sequence.
 *
 * `limit` bytes may be the start of a larger file, whose last character may be cut.
 */
export function readText(bytes: Uint8Array, limit: number): Text | null {
  const isCut = bytes.length >= limit;
  if (bytes.includes(0)) return null;
  try {
    // `stream` holds an unfinished last character back instead of calling it broken.
    return { content: new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: isCut }), isCut };
  } catch {
    return null;
  }
}
