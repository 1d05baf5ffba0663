import type { LiveStatus } from "../../api/types";
import { Badge, type Tone } from "../../components/Badge";

const LOOKS: Record<LiveStatus, { tone: Tone; word: string; hint: string }> = {
  running: { tone: "accent", word: "running", hint: "The code is running, and sends points of its metrics" },
  ended: { tone: "good", word: "arriving", hint: "The run was published; its commit is on its way" },
  lost: {
    tone: "warn",
    word: "lost",
    hint: "Its process ended without publishing it, or its machine was not heard of for 90 seconds",
  },
  published: { tone: "good", word: "published", hint: "The run is in the project" },
};

/** What becomes of a run that is not published yet. */
export function LiveBadge({ status }: { status: LiveStatus }) {
  const { tone, word, hint } = LOOKS[status];
  return (
    <Badge tone={tone} hint={hint}>
      {status === "running" && <span className="pulse" aria-hidden="true" />}
      {word}
    </Badge>
  );
}
