import { Badge } from "../../components/Badge";
import { Icon } from "../../components/Icon";
import type { RunRecord } from "../../api/types";
import { AUTHORITY_MEANS, overwrittenOf, statusOf } from "../../lib/run";

/** Success or error as a mark; the word is there for screen readers and tooltips. */
export function StatusMark({ record }: { record: RunRecord }) {
  const status = statusOf(record);
  const title = status === "success" ? "Success" : `Error: ${record.error || "no message"}`;
  return (
    <span className="status" data-status={status} title={title}>
      <Icon name={status === "success" ? "check" : "cross"} />
      <span className="visually-hidden">{status === "success" ? "Success" : "Error"}</span>
    </span>
  );
}

/** Says that files of a run are not in its commit as it wrote them; nothing where all are. */
export function OverwrittenBadge({ record }: { record: RunRecord }) {
  const paths = overwrittenOf(record);
  if (paths.length === 0) return null;
  return (
    <Badge tone="warn" hint={`A later run wrote these files before the snapshot was taken: ${paths.join(", ")}`}>
      overwritten
    </Badge>
  );
}

export function AuthorityBadge({ record }: { record: RunRecord }) {
  return (
    <Badge tone={record.authority === "workload" ? "neutral" : "accent"} hint={AUTHORITY_MEANS[record.authority]}>
      {record.authority}
    </Badge>
  );
}
