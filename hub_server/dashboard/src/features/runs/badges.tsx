import { Badge } from "../../components/Badge";
import { Icon } from "../../components/Icon";
import type { RunRecord } from "../../api/types";
import { AUTHORITY_MEANS, statusOf } from "../../lib/run";

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

export function AuthorityBadge({ record }: { record: RunRecord }) {
  return (
    <Badge tone={record.authority === "workload" ? "neutral" : "accent"} hint={AUTHORITY_MEANS[record.authority]}>
      {record.authority}
    </Badge>
  );
}
