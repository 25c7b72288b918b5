import { count } from "../core/terminal.ts";
import { isLatency } from "../metrics/latency.ts";
import { type FigureKey, figureKey, type Figures, parseFigureKey } from "../results/figures.ts";
import { checkpointsOf, paperFigure, type PaperFigures } from "../results/paper.ts";
import { latencySections } from "./latency_section.ts";
import { type Cell, metricTitle, ownCell, paperCell, textsAndKeys } from "./cells.ts";
export { cell, metricTitle, missing, paperCell } from "./cells.ts";

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

/**
 * The figures as tables, one per metric and guidance, ours beside the paper's:
 * in the layout of its Table 4 (methods × samplers down, samples seen across),
 * or of its Table 5 where there is one checkpoint. Figures without a checkpoint
 * come last, as rows by metrics where several rows have them, else one a line;
 * latency comes first, in the layout of Table 8.
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
  const once = keys.filter((key) => key.checkpoint === undefined && !isLatency(key.metric));
  return [
    ...latencySections(figures, keys.filter(({ metric }) => isLatency(metric)), paper),
    ...ordered.map(([, members]) => {
      const across = distinct(members.map(({ checkpoint }) => checkpoint)).length === 1 &&
        distinct(members.map(({ sampler }) => sampler)).length > 1;
      return across ? methodSection(figures, members, paper) : checkpointSection(figures, members, paper);
    }),
    ...onceSections(figures, once, paper),
  ];
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

/** One checkpoint under several solvers, as the paper's Tables 3 and 5: solvers down, methods across. */
function methodSection(figures: Figures, keys: readonly FigureKey[], paper?: PaperFigures): Section {
  const { metric, guidance, checkpoint } = keys[0]!;
  const info = figures.metrics[metric]!;
  const ours = checkpointsOf(figures);
  const rows = distinct(keys.map(({ row }) => row));
  const published = (key: FigureKey) => paper && paperFigure(paper, figureKey(key), ours);
  const beside = keys.some((key) => published(key) !== undefined);
  const lines = distinct(keys.map(({ sampler }) => sampler)).map((sampler): Cell[] => {
    const [method, nfe, grid = "t²"] = sampler!.split(" ");
    return [
      { text: `${capital(method!)} (${grid})` },
      { text: nfe! },
      ...rows.flatMap((row) => {
        const key = { ...keys[0]!, row, sampler: sampler! };
        const own = ownCell(figures, figureKey(key), info);
        return beside ? [own, { text: paperCell(published(key), info) }] : [own];
      }),
    ];
  });
  return {
    title: [metricTitle(info), guidance, `${count(checkpoint!)} samples`].filter(Boolean).join(", "),
    head: ["solver", "NFE", ...rows.flatMap((row) => beside ? [row, `paper ${row}`] : [row])],
    numbersFrom: 1,
    ...textsAndKeys([lines]),
  };
}

/** Widest tables of what has no checkpoint, in metrics. */
const widest = 6;

/**
 * Figures without a checkpoint: what several rows have in common as tables of
 * rows by metrics, as the paper's Tables 1, 2, 9 and 10; the rest one a line.
 */
function onceSections(figures: Figures, keys: readonly FigureKey[], paper?: PaperFigures): readonly Section[] {
  const columns = new Map<string, FigureKey[]>();
  for (const key of keys) {
    const column = [/ teacher$/.test(key.row) ? "teacher" : "", key.guidance ?? "", key.metric].join("/");
    columns.set(column, [...columns.get(column) ?? [], key]);
  }
  const tables = new Map<string, FigureKey[][]>();
  for (const column of columns.values()) {
    const rows = column.map(({ row }) => row).join();
    if (column.length > 1) tables.set(rows, [...tables.get(rows) ?? [], column]);
  }
  const rest = [...columns.values()].filter((column) => column.length === 1).flat();
  return [
    ...[...tables.values()].flatMap((table) =>
      chunks(table, widest).map((part, i) => {
        const section = rowsSection(figures, part, paper);
        return i === 0 ? section : { ...section, title: `${section.title}, continued` };
      })
    ),
    ...(rest.length > 0 ? [listSection(figures, rest, paper)] : []),
  ];
}

function rowsSection(figures: Figures, columns: readonly (readonly FigureKey[])[], paper?: PaperFigures): Section {
  const shown = columns.map((keys) => {
    const info = figures.metrics[keys[0]!.metric]!;
    const published = keys.map((key) => paper?.figures[figureKey(key)]);
    return { keys, info, published, beside: published.some((value) => value !== undefined) };
  });
  const rows = columns[0]!.map(({ row }) => row);
  return {
    title: / teacher$/.test(rows[0]!) ? "Teachers" : "Rows",
    head: [
      "row",
      ...shown.flatMap(({ keys, info, beside }) => {
        const title = [metricTitle(info), keys[0]!.guidance].filter(Boolean).join(", ");
        return beside ? [title, "paper"] : [title];
      }),
    ],
    numbersFrom: 1,
    ...textsAndKeys([
      rows.map((row, i) => [
        { text: row.replace(/ teacher$/, "") },
        ...shown.flatMap(({ keys, info, published, beside }) => {
          const own = ownCell(figures, figureKey(keys[i]!), info);
          return beside ? [own, { text: paperCell(published[i], info) }] : [own];
        }),
      ]),
    ]),
  };
}

function listSection(figures: Figures, keys: readonly FigureKey[], paper?: PaperFigures): Section {
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

function chunks<T>(values: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, i) => values.slice(i * size, (i + 1) * size));
}

/** `Heun (t²)` when all samplers share solver and grid, so that a column of NFE says the rest. */
function commonSolver(samplers: readonly (string | undefined)[]): string | undefined {
  const solvers = distinct(samplers.map((sampler) => sampler?.replace(/ \d+/, "")));
  const [solver] = solvers;
  if (solvers.length !== 1 || solver === undefined) return undefined;
  const [method, grid = "t²"] = solver.split(" ");
  return `${capital(method!)} (${grid})`;
}

const capital = (word: string) => word[0]!.toUpperCase() + word.slice(1);

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
