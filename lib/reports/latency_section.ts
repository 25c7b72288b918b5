import { isLatency, latencyBatches, latencyName } from "../metrics/latency.ts";
import { type FigureKey, figureKey, type Figures, parseFigureKey } from "../results/figures.ts";
import type { PaperFigures } from "../results/paper.ts";
import { cell, metricTitle, missing, paperCell } from "./cells.ts";
import type { Section } from "./sections.ts";

/**
 * The layout of paper Table 8, one table a guidance: teacher, teacher without
 * denoising and student under each solver down, seconds a sample and speed-up
 * at each batch size across. What the paper published of other rows stands in
 * lines of its own.
 */
export function latencySections(figures: Figures, keys: readonly FigureKey[], paper?: PaperFigures): Section[] {
  const published = Object.keys(paper?.figures ?? {}).map(parseFigureKey).filter(({ metric }) => isLatency(metric));
  const guidances = distinct(keys.map(({ guidance }) => guidance));
  return guidances.map((guidance) => {
    const of = [...keys, ...published].filter((key) => key.guidance === guidance);
    const batches = latencyBatches.filter((batch) => keys.some(({ metric }) => metric.endsWith(`Batch${batch}`)));
    const columns = batches.flatMap((batch) => (["seconds", "speedup"] as const).map((figure) => ({ batch, figure })));
    const value = (key: FigureKey) => paper?.figures[figureKey(key)];
    const beside = columns.filter(({ batch, figure }) =>
      of.some((key) => key.metric === latencyName(figure, batch) && value(key) !== undefined)
    );
    const line = (key: FigureKey, name: string, decoding = false): string[] => [
      key.row,
      name,
      ...columns.flatMap((column) => {
        const { batch, figure } = column;
        const metric = latencyName(decoding && figure === "seconds" ? "decodeSeconds" : figure, batch);
        const info = figures.metrics[latencyName(figure, batch)]!;
        const at = { ...key, metric };
        const own = cell(figures.figures[figureKey(at)], info);
        if (!beside.includes(column)) return [own];
        const theirs = value(at);
        return [own, theirs === undefined ? missing : paperCell(theirs, info)];
      }),
    ];
    const bare = distinct(of.map(({ row }) => row.replace(/ teacher$/, "")));
    const groups = bare.map((row) => {
      const teacher = of.find((key) => key.row === `${row} teacher`);
      const solvers = distinct(of.filter((key) => key.row === row).map(({ sampler }) => sampler!));
      const decodes = of.some((key) => key.row === `${row} teacher` && key.metric.startsWith("decodeSeconds"));
      return [
        ...(teacher ? [line(teacher, "decoding, denoising")] : []),
        ...(teacher && decodes ? [line(teacher, "decoding alone", true)] : []),
        ...solvers.map((sampler) => line({ row, sampler, guidance: guidance!, metric: "" }, sampler)),
      ];
    });
    return {
      title: ["Latency", guidance].filter(Boolean).join(", "),
      head: [
        "of",
        "drawn by",
        ...columns.flatMap((column) => {
          const title = metricTitle(figures.metrics[latencyName(column.figure, column.batch)]!);
          return beside.includes(column) ? [title, "paper"] : [title];
        }),
      ],
      numbersFrom: 2,
      groups,
    };
  });
}

const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];
