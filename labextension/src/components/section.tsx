import * as React from 'react';

interface SectionProps {
  readonly title: string;
  /** Shown behind the title; left out where it would say nothing. */
  readonly count?: number;
  readonly children: React.ReactNode;
}

/** A region of the panel that folds at its heading. */
export function Section({ title, count, children }: SectionProps): React.ReactElement {
  const [open, setOpen] = React.useState(true);
  const id = React.useId();
  return (
    <section className="ds-Section" aria-labelledby={id}>
      <h2 className="ds-Section-title">
        <button id={id} type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          <Chevron />
          <span>{title}</span>
          {count === undefined ? null : <span className="ds-Count">{count}</span>}
        </button>
      </h2>
      {open ? <div className="ds-Section-body">{children}</div> : null}
    </section>
  );
}

function Chevron(): React.ReactElement {
  return (
    <svg className="ds-Chevron" viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
      <path d="m5 3 5 5-5 5" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
