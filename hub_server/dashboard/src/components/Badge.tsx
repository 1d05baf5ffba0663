import type { ReactNode } from "react";

export type Tone = "neutral" | "good" | "bad" | "warn" | "accent";

/** A short fact about a thing. `hint` says what it means, to the mouse and to screen readers. */
export function Badge({ tone = "neutral", hint, children }: { tone?: Tone; hint?: string; children: ReactNode }) {
  return (
    <span className="badge" data-tone={tone} title={hint}>
      {children}
    </span>
  );
}
