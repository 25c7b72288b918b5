import type { MetricInfo } from "../metrics/types.ts";
import type { Figure, Figures } from "../results/figures.ts";
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

/** A cell of a table, with the figure that it shows, if any. */
export interface Cell {
  readonly text: string;
  /** By `figureKey`. */
  readonly key?: string;
}

/** The cell of a figure of ours. */
export function ownCell(figures: Figures, key: string, info: MetricInfo): Cell {
  const figure = figures.figures[key];
  return { text: cell(figure, info), ...(figure && { key }) };
}

/** Rows of cells in groups as a `Section` holds them: the texts, and beside them the figures that they show. */
export function textsAndKeys(groups: readonly (readonly (readonly Cell[])[])[]) {
  return {
    groups: groups.map((rows) => rows.map((cells) => cells.map(({ text }) => text))),
    keys: groups.map((rows) => rows.map((cells) => cells.map(({ key }) => key))),
  };
}
