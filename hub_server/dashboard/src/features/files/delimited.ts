/** Tables as rows of texts, from CSV files and from the HTML that data frames leave in notebooks. */

export const MAX_ROWS = 500;
export const MAX_COLUMNS = 100;

/** The cells of a file of delimited values (RFC 4180), the first `MAX_ROWS` + 1 rows of it; a quote that never ends takes the rest. */
export function readDelimited(text: string, delimiter: string): string[][] {
  const rows: string[][] = [];
  const pattern = new RegExp(`(?:"((?:[^"]|"")*)(?:"|$)|([^${delimiter}\\r\\n]*))[^${delimiter}\\r\\n]*(${delimiter}|\\r?\\n|\\r|$)`, "gy");
  let row: string[] = [];
  while (pattern.lastIndex < text.length && rows.length <= MAX_ROWS) {
    const [, quoted, plain, end] = pattern.exec(text) ?? [];
    row.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end === delimiter && pattern.lastIndex < text.length) continue;
    if (end === delimiter) row.push("");
    rows.push(row);
    row = [];
  }
  return rows;
}

/**
 * The first table of a piece of HTML as text, or null where it has none. What is parsed so is inert: no script of it
 * runs, no picture is fetched, and only the text of the cells is kept.
 */
export function readHtmlTable(html: string): string[][] | null {
  const table = new DOMParser().parseFromString(html, "text/html").querySelector("table");
  if (!table) return null;
  const rows = [...table.rows].slice(0, MAX_ROWS + 1);
  return rows.map((row) => [...row.cells].flatMap((cell) => [cell.textContent.trim(), ...Array<string>(spanOf(cell)).fill("")]));
}

function spanOf(cell: HTMLTableCellElement): number {
  return Math.min(cell.colSpan, MAX_COLUMNS) - 1;
}
