import { count } from "../core/terminal.ts";
import type { MetricInfo } from "../metrics/types.ts";
import { type Figure, type FigureKey, figureKey, type Figures, parseFigureKey } from "../results/figures.ts";
import { checkpointsOf, paperFigure, type PaperFigures } from "../results/paper.ts";
import { round } from "../results/rounding.ts";

/** One table of a report: plain cells, still to be drawn. */
export interface Section {
  readonly title: string;
  readonly head: readonly string[];
  /** Cells right-aligned from this column on. */
  readonly numbersFrom: number;
  /** Rows in groups that a reader compares: one sampler each. */
  readonly groups: readonly (readonly (readonly string[])[])[];
  /** The `figureKey` behind each cell of `groups`; nothing where a cell is a name or the paper's. */
  readonly keys: readonly (readonly (readonly (string | undefined)[])[])[];
}

/** What is not measured or not published. Never blank, so that it is never taken for zero. */
export const missing = "–";

/**
 * The figures as tables in the layout of the paper's Table 4: one per metric
 * and guidance, methods × samplers down, samples seen across, ours beside the
 * paper's. Figures without a checkpoint come last, one a line.
 */
export function sectionsOf(figures: Figures, paper?: PaperFigures): readonly Section[] {
  const keys = Object.keys(figures.figures).map(parseFigureKey);
  const overTime = keys.filter((key) => key.checkpoint !== undefined);
  const groups = new Map<string, FigureKey[]>();
  for (const key of overTime) {
    const name = `${metricRank(figures, key)} ${guidanceRank(key)}`;
    groups.set(name, [...groups.get(name) ?? [], key]);
  }
  const ordered = [...groups].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  const once = keys.filter((key) => key.checkpoint === undefined);
  return [
    ...ordered.map(([, members]) => checkpointSection(figures, members, paper)),
    ...(once.length > 0 ? [onceSection(figures, once, paper)] : []),
  ];
}

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

function checkpointSection(figures: Figures, keys: readonly FigureKey[], paper?: PaperFigures): Section {
  const { metric, guidance } = keys[0]!;
  const info = figures.metrics[metric]!;
  const ours = checkpointsOf(figures);
  const at = (key: FigureKey, checkpoint: number) => figureKey({ ...key, checkpoint });
  const published = (key: FigureKey, checkpoint: number) => paper && paperFigure(paper, at(key, checkpoint), ours);
  const beside = keys.some((key) => published(key, key.checkpoint!) !== undefined);
  const samplers = distinct(keys.map((key) => key.sampler));
  const solver = commonSolver(samplers);
  const line = (key: FigureKey): Cell[] => [
    { text: key.row },
    ...(key.sampler === undefined ? [] : [{ text: solver ? key.sampler.split(" ")[1]! : key.sampler }]),
    ...ours.flatMap((checkpoint) => {
      const own = ownCell(figures, at(key, checkpoint), info);
      return beside ? [own, { text: paperCell(published(key, checkpoint), info) }] : [own];
    }),
  ];
  const groups = samplers.map((sampler) => {
    const members = keys.filter((key) => key.sampler === sampler);
    return distinct(members.map((key) => key.row)).map((row) => line(members.find((key) => key.row === row)!));
  });
  const samplerHead = samplers[0] === undefined ? [] : [solver ? "NFE" : "sampler"];
  const heads = ours.flatMap((checkpoint, rank) =>
    beside ? [count(checkpoint), `paper ${count(paper!.checkpoints[rank]!)}`] : [count(checkpoint)]
  );
  return {
    title: [metricTitle(info), solver, guidance].filter(Boolean).join(", "),
    head: ["method", ...samplerHead, ...heads],
    numbersFrom: solver ? 1 : 1 + samplerHead.length,
    ...textsAndKeys(groups),
  };
}

function onceSection(figures: Figures, keys: readonly FigureKey[], paper?: PaperFigures): Section {
  const published = keys.map((key) => paper?.figures[figureKey(key)]);
  const beside = published.some((value) => value !== undefined);
  const rows = keys.map((key, i) => {
    const info = figures.metrics[key.metric]!;
    const what = [metricTitle(info), key.sampler, key.guidance].filter(Boolean).join(", ");
    const own = ownCell(figures, figureKey(key), info);
    return [{ text: key.row }, { text: what }, own, ...(beside ? [{ text: paperCell(published[i], info) }] : [])];
  });
  return {
    title: "Measured once",
    head: ["of", "what", "ours", ...(beside ? ["paper"] : [])],
    numbersFrom: 2,
    ...textsAndKeys([rows]),
  };
}

/** A cell with the figure that it shows, if any. */
interface Cell {
  readonly text: string;
  readonly key?: string;
}

function ownCell(figures: Figures, key: string, info: MetricInfo): Cell {
  const figure = figures.figures[key];
  return { text: cell(figure, info), ...(figure && { key }) };
}

function textsAndKeys(groups: readonly (readonly (readonly Cell[])[])[]): Pick<Section, "groups" | "keys"> {
  return {
    groups: groups.map((rows) => rows.map((cells) => cells.map(({ text }) => text))),
    keys: groups.map((rows) => rows.map((cells) => cells.map(({ key }) => key))),
  };
}

/** The paper's figures have two or more digits of their own; none is taken away. */
function paperCell(value: number | undefined, { digits }: MetricInfo): string {
  if (value === undefined) return missing;
  const written = String(value).split(".")[1]?.length ?? 0;
  return value.toFixed(Math.max(written, Math.min(digits, 2)));
}

/** `Heun (t²)` when all samplers share solver and grid, so that a column of NFE says the rest. */
function commonSolver(samplers: readonly (string | undefined)[]): string | undefined {
  const solvers = distinct(samplers.map((sampler) => sampler?.replace(/ \d+/, "")));
  const [solver] = solvers;
  if (solvers.length !== 1 || solver === undefined) return undefined;
  const [method, grid = "t²"] = solver.split(" ");
  return `${method![0]!.toUpperCase()}${method!.slice(1)} (${grid})`;
}

function metricRank({ metrics }: Figures, { metric }: FigureKey): number {
  return Object.keys(metrics).indexOf(metric);
}

/** Guided first: it is what the paper reports unless it says otherwise (§4). */
function guidanceRank({ guidance }: FigureKey): number {
  return guidance === "guided" ? 0 : guidance === "unguided" ? 1 : 2;
}

function distinct<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
