import { useQuery } from "@tanstack/react-query";

import { runQuery } from "../../api/queries";
import type { Run, Value } from "../../api/types";
import { formatNumber, isNumeric } from "../../lib/format";

/** The run that the others are measured against, named in the URL. */
export function useBaseline(project: string, run: string | undefined): Run | null {
  const query = useQuery({ ...runQuery(project, run ?? ""), enabled: run !== undefined });
  return query.data ?? null;
}

/** How far a value is from the baseline's, with its sign, in three digits; null where either is no finite number. */
export function deltaText(value: Value | undefined, base: Value | undefined): string | null {
  const delta = toNumber(value) - toNumber(base);
  if (!Number.isFinite(delta)) return null;
  if (delta === 0) return "=";
  const amount = formatNumber(Number(Math.abs(delta).toPrecision(3)));
  return delta > 0 ? `+${amount}` : `−${amount}`;
}

function toNumber(value: Value | undefined): number {
  return isNumeric(value) ? Number(value) : NaN;
}
