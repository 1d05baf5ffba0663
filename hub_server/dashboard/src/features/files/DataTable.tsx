import { isNumeric } from "../../lib/format";
import { MAX_COLUMNS, MAX_ROWS } from "./delimited";

/** Rows of texts as a table, the first of them as its head; of many, the first ones, and it says so. */
export function DataTable({ rows, label, isCut = false }: { rows: readonly string[][]; label: string; isCut?: boolean }) {
  const [head = [], ...body] = rows.map((row) => row.slice(0, MAX_COLUMNS));
  const hasMore = isCut || body.length >= MAX_ROWS || rows.some((row) => row.length > MAX_COLUMNS);
  return (
    <>
      <div className="source" tabIndex={0} role="group" aria-label={label}>
        <table className="table compact data-table">
          <thead>
            <tr>
              {head.map((text, column) => (
                <th key={column} scope="col">
                  {text}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {body.slice(0, MAX_ROWS).map((row, index) => (
              <tr key={index}>
                {row.map((text, column) => (
                  <td key={column} className={isNumeric(text) ? "numeric" : undefined}>
                    {text}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {hasMore && <p className="panel-empty">There is more; download the file to see all of it.</p>}
    </>
  );
}
