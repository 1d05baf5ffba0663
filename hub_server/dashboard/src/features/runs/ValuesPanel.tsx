import { useState } from "react";

import type { Value } from "../../api/types";
import { CopyButton } from "../../components/CopyButton";
import { Panel } from "../../components/Panel";
import { exactValue, formatValue, isNumeric } from "../../lib/format";

const SEARCH_FROM = 12;

interface Props {
  title: string;
  values: Record<string, Value>;
  empty: string;
}

/** Names and values of a run; long lists can be searched. */
export function ValuesPanel({ title, values, empty }: Props) {
  const [filter, setFilter] = useState("");
  const entries = Object.entries(values);
  const shown = entries.filter(([name]) => name.toLowerCase().includes(filter.toLowerCase()));
  const search = entries.length >= SEARCH_FROM && (
    <input
      type="search"
      className="input small"
      placeholder="Find"
      aria-label={`Find in ${title.toLowerCase()}`}
      value={filter}
      onChange={(event) => setFilter(event.target.value)}
    />
  );
  return (
    <Panel title={title} aside={search || (entries.length > 0 && <span className="muted">{entries.length}</span>)}>
      {entries.length === 0 && <p className="panel-empty">{empty}</p>}
      {entries.length > 0 && (
        <div className="values-scroll" tabIndex={0} role="group" aria-label={title}>
          <table className="values">
            <tbody>
              {shown.map(([name, value]) => (
                <ValueRow key={name} name={name} value={value} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function ValueRow({ name, value }: { name: string; value: Value }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td className="row-action">
        <CopyButton text={exactValue(value)} what={`value of ${name}`} />
      </td>
      <td className={isNumeric(value) ? "number" : undefined} title={exactValue(value)}>
        {formatValue(value)}
      </td>
    </tr>
  );
}
