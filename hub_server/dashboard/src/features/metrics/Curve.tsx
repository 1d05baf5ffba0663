import { lazy, Suspense } from "react";

import type { Curve as CurveData, LastValue } from "../../api/types";
import { formatCount, formatNumber, formatValue } from "../../lib/format";

const Plot = lazy(() => import("./Plot"));

interface Props {
  metric: LastValue;
  curve: CurveData;
  group: string;
}

/** One metric over steps: its last value in words, and the curve. */
export function Curve({ metric, curve, group }: Props) {
  return (
    <figure className="curve">
      <figcaption>
        <span className="curve-name" title={metric.name}>
          {metric.name}
        </span>
        <span className="curve-last">
          {formatValue(metric.value)} <span className="muted">at step {metric.step}</span>
        </span>
      </figcaption>
      <Suspense fallback={<div className="plot" />}>
        <Plot points={curve.points} group={group} />
      </Suspense>
      <p className="visually-hidden">{describe(curve)}</p>
      <p className="muted curve-note">
        {formatCount(metric.points, "point")}
        {curve.sampled && ", of which the extremes are drawn"}
      </p>
    </figure>
  );
}

function describe(curve: CurveData): string {
  const values = curve.points.map(([, , value]) => value).filter((value) => typeof value === "number");
  if (values.length === 0) return "It has no finite value.";
  const [low, high] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [
    Infinity,
    -Infinity,
  ]);
  return `Between ${formatNumber(low)} and ${formatNumber(high)}.`;
}
