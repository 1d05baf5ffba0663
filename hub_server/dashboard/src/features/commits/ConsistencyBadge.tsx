import type { CommitInfo } from "../../api/types";
import { Badge } from "../../components/Badge";

const MEANS: Record<CommitInfo["consistency"], string> = {
  atomic: "The whole workspace at one instant",
  "file-atomic": "Each file at one instant",
  stable: "No file changed while it was read",
  fuzzy: "Some files kept changing while they were read",
};

export function ConsistencyBadge({ commit }: { commit: CommitInfo }) {
  const { consistency, unstable } = commit;
  const files = unstable.length > 0 ? `: ${unstable.join(", ")}` : "";
  return (
    <Badge tone={consistency === "fuzzy" ? "warn" : "neutral"} hint={MEANS[consistency] + files}>
      {consistency}
    </Badge>
  );
}
