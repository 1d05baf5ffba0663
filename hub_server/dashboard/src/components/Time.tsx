import { formatAge, formatTime } from "../lib/format";
import { useNow } from "../lib/hooks";

/** A moment as its age, with the exact time behind it. */
export function Time({ at }: { at: string | null }) {
  const now_ms = useNow();
  if (at === null) return <span className="muted">–</span>;
  return (
    <time dateTime={at} title={formatTime(at)}>
      {formatAge(at, now_ms)}
    </time>
  );
}
