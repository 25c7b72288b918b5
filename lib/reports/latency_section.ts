import { isLatency, latencyBatches, latencyName } from "../metrics/latency.ts";
import { type FigureKey, figureKey, type Figures, parseFigureKey } from "../results/figures.ts";
import type { PaperFigures } from "../results/paper.ts";
import { metricTitle, missing, ownCell, textsAndKeys } from "./cells.ts";
import type { Section } from "./sections.ts";

/** A column of the table. */
interface Column {
  readonly batch: number;
  readonly figure: "seconds" | "speedup";
}
/** A line of the table: whose latency, and how the sample was drawn. */
type Line = Pick<FigureKey, "row" | "sampler" | "guidance"> & { readonly name: string; readonly decoding?: boolean };

/**
 * The layout of paper Table 8, one table a guidance: teacher, teacher without
 * denoising and student under each solver down, seconds a sample and speed-up
 * at each batch size across, beside the tokens of each model. What the paper
 * published of other rows stands in lines of its own.
 */
export function latencySections(figures: Figures, keys: readonly FigureKey[], paper?: PaperFigures): Section[] {
  const published = Object.keys(paper?.figures ?? {}).map(parseFigureKey).filter(({ metric }) => isLatency(metric));
  const batches = latencyBatches.filter((batch) => keys.some(({ metric }) => metric.endsWith(`Batch${batch}`)));
  // Lines of one model repeat its tokens; the first of them is where the figure is.
  const tokensOf = (row: string, first: boolean) => {
    const key = figureKey({ row, metric: "tokens" }), own = figures.figures[key]?.value;
    return { text: String(own ?? paper?.figures[key] ?? missing), ...(own !== undefined && first && { key }) };
  };
  const columns = batches.flatMap((batch): Column[] => [{ batch, figure: "seconds" }, { batch, figure: "speedup" }]);
  return (["guided", "unguided"] as const).filter((kind) => keys.some(({ guidance }) => guidance === kind))
    .map((kind) => {
      const of = [...keys, ...published].filter(({ guidance }) => guidance === kind);
      const rows = distinct(of.map(({ row }) => row.replace(/ teacher$/, "")));
      const groups = rows.map((row) => linesOf(row, of));
      const theirs = (line: Line, column: Column) => paper?.figures[keyOf(line, column)];
      const shown = columns.map((column) => ({
        column,
        info: figures.metrics[latencyName(column.figure, column.batch)]!,
        beside: groups.flat().some((line) => theirs(line, column) !== undefined),
      }));
      return {
        title: `Latency, ${kind}`,
        head: [
          "of",
          "drawn by",
          "tokens",
          ...shown.flatMap(({ info, beside }) => [metricTitle(info), ...(beside ? ["paper"] : [])]),
        ],
        numbersFrom: 2,
        ...textsAndKeys(groups.map((lines) =>
          lines.map((line, i) => [
            { text: line.row },
            { text: line.name },
            tokensOf(line.row, lines.findIndex(({ row }) => row === line.row) === i),
            ...shown.flatMap(({ column, info, beside }) => {
              const own = ownCell(figures, keyOf(line, column), info);
              return beside ? [own, { text: String(theirs(line, column) ?? missing) }] : [own];
            }),
          ])
        )),
      };
    });
}

/** The lines of one row of the recipe: its teacher's, then its student's, as far as somebody measured them. */
function linesOf(row: string, keys: readonly FigureKey[]): Line[] {
  const guidance = keys[0]!.guidance!;
  const teacher = { row: `${row} teacher`, guidance };
  const ofTeacher = keys.filter((key) => key.row === teacher.row);
  const samplers = distinct(keys.filter((key) => key.row === row).map(({ sampler }) => sampler!));
  return [
    ...(ofTeacher.length > 0 ? [{ ...teacher, name: "decoding, denoising" }] : []),
    ...(ofTeacher.some(({ metric }) => metric.startsWith("decode"))
      ? [{ ...teacher, name: "decoding alone", decoding: true }]
      : []),
    ...samplers.map((sampler) => ({ row, sampler, guidance, name: sampler })),
  ];
}

function keyOf({ row, sampler, guidance, decoding }: Line, { batch, figure }: Column): string {
  const metric = latencyName(decoding && figure === "seconds" ? "decodeSeconds" : figure, batch);
  return figureKey({ row, ...(sampler && { sampler }), guidance: guidance!, metric });
}

const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];
