import { useEffect, useRef } from "react";
import uPlot, { type AlignedData, type Options } from "uplot";
import "uplot/dist/uPlot.min.css";

import type { CurvePoint } from "../../api/types";
import { formatNumber } from "../../lib/format";
import { useTheme } from "../../lib/theme";

const HEIGHT_PX = 180;
const LEAST_WIDTH_PX = 120;
const DARK = "(prefers-color-scheme: dark)";

interface Props {
  points: readonly CurvePoint[];
  /** Plots with the same one share their cursor. */
  group: string;
}

/** A curve over steps, on a canvas. Loaded when the first one is shown; `Curve` says the same in words. */
export default function Plot({ points, group }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const latest = useRef(points);
  const { theme } = useTheme();

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsFor(element, group), dataOf(latest.current), element);
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize(sizeOf(element)));
    resized.observe(element);
    const system = window.matchMedia(DARK);
    system.addEventListener("change", draw);
    return () => {
      system.removeEventListener("change", draw);
      resized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [group, theme]);

  useEffect(() => {
    latest.current = points;
    plot.current?.setData(dataOf(points));
  }, [points]);

  return <div ref={place} className="plot" aria-hidden="true" />;
}

/** What is no number is a gap. */
function dataOf(points: readonly CurvePoint[]): AlignedData {
  return [points.map(([step]) => step), points.map(([, , value]) => (typeof value === "number" ? value : null))];
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  return { width: Math.max(element.clientWidth, LEAST_WIDTH_PX), height: HEIGHT_PX };
}

/** A canvas knows no custom properties: the colours are those that `.plot` has as they come out in the theme. */
function optionsFor(element: HTMLElement, group: string): Options {
  const { color, outlineColor, borderTopColor } = getComputedStyle(element);
  const axis = {
    stroke: outlineColor,
    grid: { stroke: borderTopColor, width: 1 },
    ticks: { stroke: borderTopColor, width: 1 },
    font: "11px system-ui, sans-serif",
  };
  return {
    ...sizeOf(element),
    scales: { x: { time: false } },
    axes: [
      { ...axis, size: 28, values: (_, splits) => splits.map((step) => (Number.isInteger(step) ? formatNumber(step) : "")) },
      { ...axis, size: 60, values: (_, splits) => splits.map(formatNumber) },
    ],
    series: [
      { label: "step" },
      { label: "value", stroke: color, width: 1.5, points: { fill: color } },
    ],
    cursor: { sync: { key: group }, drag: { x: true, y: false } },
  };
}
