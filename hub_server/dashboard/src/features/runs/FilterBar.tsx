import { useRef, useState, type FormEvent } from "react";

import { HubError } from "../../api/problem";
import { Icon } from "../../components/Icon";
import { useShortcuts } from "../../lib/shortcuts";

const EXAMPLE = 'Search: resnet, or accuracy > 0.9 and optimizer = "adam"';

interface Props {
  /** The filter in force, empty for none. Give the bar another key when it changes elsewhere than here. */
  filter: string;
  apply: (filter: string) => void;
  /** Why the filter in force has no answer. */
  error: HubError | null;
}

/** The filter of the runs table as text (docs/filters.md); it is applied with Enter. */
export function FilterBar({ filter, apply, error }: Props) {
  const [text, setText] = useState(filter);
  const input = useRef<HTMLInputElement>(null);
  useShortcuts([{ key: "/", description: "Filter the runs", run: () => input.current?.focus() }]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    apply(text.trim());
  };
  return (
    <div role="search" className="filter">
      <form className="filter-form" onSubmit={submit}>
        <input
          ref={input}
          type="text"
          className="input filter-input"
          placeholder={EXAMPLE}
          aria-label="Filter"
          aria-invalid={error !== null}
          aria-describedby={error ? "filter-mistake" : undefined}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <button type="submit" className="button">
          Filter
        </button>
        {filter !== "" && (
          <button type="button" className="button quiet" onClick={() => apply("")}>
            <Icon name="cross" /> Show all
          </button>
        )}
      </form>
      {error && <Mistake filter={filter} error={error} />}
    </div>
  );
}

/** What is wrong with the filter, under the place where that shows. */
function Mistake({ filter, error }: { filter: string; error: HubError }) {
  const { position } = error;
  return (
    <div id="filter-mistake" className="filter-mistake" role="alert">
      {position !== null && (
        <code>
          {filter.slice(0, position)}
          <mark>{filter.slice(position) || " "}</mark>
        </code>
      )}
      <p>{error.detail}</p>
    </div>
  );
}
