/** Reads an .ipynb file (nbformat 4) as far as a preview needs it; whatever has another form is left out. */

import { readHtmlTable } from "./delimited";

export type Output =
  | { kind: "text"; text: string }
  | { kind: "error"; text: string }
  | { kind: "table"; rows: string[][] }
  | { kind: "image"; source: string };

export interface Cell {
  type: "code" | "markdown" | "raw";
  source: string;
  count: number | null;
  outputs: Output[];
}

const IMAGE_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/** @throws SyntaxError when the text is not JSON. */
export function readNotebook(text: string): Cell[] {
  const cells = field(JSON.parse(text), "cells");
  return Array.isArray(cells) ? cells.map(readCell) : [];
}

function readCell(cell: unknown): Cell {
  const type = field(cell, "cell_type");
  const count = field(cell, "execution_count");
  const outputs = field(cell, "outputs");
  return {
    type: type === "code" || type === "markdown" ? type : "raw",
    source: joined(field(cell, "source")),
    count: typeof count === "number" ? count : null,
    outputs: Array.isArray(outputs) ? outputs.flatMap(readOutput) : [],
  };
}

function readOutput(output: unknown): Output[] {
  switch (field(output, "output_type")) {
    case "stream":
      return textOutput(joined(field(output, "text")));
    case "error":
      return [{ kind: "error", text: joined(field(output, "traceback"), "\n") }];
    case "display_data":
    case "execute_result":
      return readBundle(field(output, "data"));
    default:
      return [];
  }
}

/** Of the forms of one output, the best one that cannot run anything: a bitmap, the text of a table, else plain text. */
function readBundle(data: unknown): Output[] {
  const type = IMAGE_TYPES.find((name) => typeof field(data, name) === "string" || Array.isArray(field(data, name)));
  if (!type) return tableOutput(joined(field(data, "text/html"))) ?? textOutput(joined(field(data, "text/plain")));
  const base64 = joined(field(data, type)).replace(/\s/g, "");
  return [{ kind: "image", source: `data:${type};base64,${base64}` }];
}

function tableOutput(html: string): Output[] | null {
  const rows = html.includes("<table") ? readHtmlTable(html) : null;
  return rows && rows.length > 0 ? [{ kind: "table", rows }] : null;
}

function textOutput(text: string): Output[] {
  const content = text.replace(/\[\[DOTSCIENCE-RUN:([^\]]*)\]\][^]*?\[\[\/DOTSCIENCE-RUN:\1\]\]/g, "Run $1").replace(/^\n+|\s+$/g, "");
  return content === "" ? [] : [{ kind: "text", text: content }];
}

/** nbformat writes texts as one string or as a list of lines. */
function joined(value: unknown, separator = ""): string {
  if (typeof value === "string") return value;
  return Array.isArray(value) ? value.filter((line) => typeof line === "string").join(separator) : "";
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
