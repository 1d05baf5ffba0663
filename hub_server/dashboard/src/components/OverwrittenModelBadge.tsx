import { Badge } from "./Badge";

export const OVERWRITTEN_MODEL = "A later run wrote its files before the snapshot was taken: the commit holds another model";

/** Says that a model's file, or one below its folder, is not in the commit as its run wrote it. */
export function OverwrittenModelBadge() {
  return (
    <Badge tone="warn" hint={OVERWRITTEN_MODEL}>
      overwritten
    </Badge>
  );
}
