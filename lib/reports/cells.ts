import type { MetricInfo } from "../metrics/types.ts";
import type { Figure } from "../results/figures.ts";
import { round } from "../results/rounding.ts";

/** What is not measured or not published. Never blank, so that it is never taken for zero. */
export const missing = "–";

/** A measurement in a cell: `3.50 ± 0.04`. */
export function cell(figure: Figure | undefined, info: MetricInfo): string {
  if (!figure) return missing;
  const { value, spread } = round(figure, info);
  return spread === undefined ? value : `${value} ± ${spread}`;
}

/** A metric's name with its unit and the better direction: `NLL (nats/dim) ↓`. */
export function metricTitle({ label, unit, better }: MetricInfo): string {
  const arrow = better === "lower" ? " ↓" : better === "higher" ? " ↑" : "";
  return `${label}${unit === "" ? "" : ` (${unit})`}${arrow}`;
}

/** The paper's figures have two or more digits of their own; none is taken away. */
export function paperCell(value: number | undefined, { digits }: MetricInfo): string {
  if (value === undefined) return missing;
  const written = String(value).split(".")[1]?.length ?? 0;
  return value.toFixed(Math.max(written, Math.min(digits, 2)));
}
