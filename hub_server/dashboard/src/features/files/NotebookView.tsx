import { useMemo } from "react";

import { plainText } from "../../lib/ansi";
import { DataTable } from "./DataTable";
import Markdown from "./Markdown";
import { readNotebook, type Cell, type Output } from "./notebook";

/** A notebook as it was saved: sources and outputs, text cells and tables rendered, nothing of it executed or used as HTML. */
export default function NotebookView({ source }: { source: string }) {
  const cells = useMemo(() => tryRead(source), [source]);
  if (cells === null) return <p className="panel-empty">This notebook cannot be read: it is not valid JSON.</p>;
  if (cells.length === 0) return <p className="panel-empty">This notebook has no cells.</p>;
  return (
    <ol className="notebook" aria-label="Cells">
      {cells.map((cell, index) => (
        <li key={index} className="cell" data-type={cell.type}>
          {cell.type === "markdown" && <Markdown source={cell.source} />}
          {cell.type !== "markdown" && cell.source !== "" && (
            <div className="cell-input">
              <span className="cell-count">{cell.type === "code" ? `[${cell.count ?? " "}]` : ""}</span>
              <pre>{cell.source}</pre>
            </div>
          )}
          {cell.outputs.map((output, position) => (
            <OutputView key={position} output={output} />
          ))}
        </li>
      ))}
    </ol>
  );
}

function OutputView({ output }: { output: Output }) {
  if (output.kind === "image") return <img className="cell-image" src={output.source} alt="Output of the cell" />;
  if (output.kind === "table") return <DataTable rows={output.rows} label="Output of the cell" />;
  return (
    <pre className="cell-output" data-kind={output.kind}>
      {plainText(output.text)}
    </pre>
  );
}

function tryRead(source: string): Cell[] | null {
  try {
    return readNotebook(source);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
