import * as React from 'react';

import { formatValue, isNumeric } from '../format';
import type { Values } from '../record';

const MOST_CHIPS = 6;

/** The first few values in one flowing line. */
export function ValueChips({ values }: { readonly values: Values }): React.ReactElement | null {
  const entries = Object.entries(values);
  return entries.length === 0 ? null : (
    <span className="ds-Chips">
      {entries.slice(0, MOST_CHIPS).map(([name, value]) => (
        <span className="ds-Chip" key={name} title={`${name} = ${formatValue(value, 500)}`}>
          <span className="ds-Chip-name">{name}</span> <span className="ds-Chip-value">{formatValue(value, 24)}</span>
        </span>
      ))}
      {entries.length > MOST_CHIPS ? <span className="ds-Chip ds-mod-more">+{entries.length - MOST_CHIPS}</span> : null}
    </span>
  );
}

interface ValueTableProps {
  readonly title: string;
  readonly values: Values;
}

/** All values, one a line, numbers aligned; nothing where there are none. */
export function ValueTable({ title, values }: ValueTableProps): React.ReactElement | null {
  const entries = Object.entries(values);
  return entries.length === 0 ? null : (
    <div className="ds-Group">
      <h3>{title}</h3>
      <dl className="ds-Values">
        {entries.map(([name, value]) => (
          <div key={name}>
            <dt title={name}>{name}</dt>
            <dd className={isNumeric(value) ? 'ds-mod-number' : ''} title={formatValue(value, 2000)}>
              {formatValue(value, 200)}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
