import { writeFileAtomic } from "../core/files.ts";
import { latencyBatches, latencyName } from "../metrics/latency.ts";
import { type FigureKey, figureKey, type Figures, parseFigureKey } from "../results/figures.ts";
import { colours, pageConfig, renderSpec } from "./plot.ts";

/** Which speed-ups a plot shows. */
export interface LatencyPlotOptions {
  /** The file's name, without its ending. */
  readonly name: string;
  readonly guidance: NonNullable<FigureKey["guidance"]>;
}

/** One plot a guidance, where speed-ups were measured at several lengths of the teacher's sequence. */
export function latencyPlotsOf(figures: Figures): readonly LatencyPlotOptions[] {
  return (["guided", "unguided"] as const)
    .filter((guidance) => new Set(pointsOf(figures, guidance).map(({ tokens }) => tokens)).size > 1)
    .map((guidance) => ({ name: `speedup-${guidance}`, guidance }));
}

/**
 * The speed-up of paper Table 8 as a curve over the teacher's tokens (both
 * axes logarithmic), a line per solver, a panel per batch size, bars of one
 * standard error, and a rule where student and teacher are equally fast.
 *
 * @throws {TypeError} when no figure matches.
 */
export async function renderLatencyPlot(figures: Figures, options: LatencyPlotOptions): Promise<string> {
  return await renderSpec(latencySpec(figures, options));
}

/** Writes the plot, whole or not at all. */
export async function writeLatencyPlot(path: string, figures: Figures, options: LatencyPlotOptions): Promise<void> {
  await writeFileAtomic(path, await renderLatencyPlot(figures, options));
}

/** The plot as a Vega-Lite specification, data included. */
export function latencySpec(figures: Figures, { guidance }: LatencyPlotOptions): object {
  const values = pointsOf(figures, guidance);
  if (values.length === 0) throw new TypeError(`Cannot plot the speed-up, ${guidance}: no figure has it`);
  const samplers = distinct(values.map(({ sampler }) => sampler));
  const ticks = distinct(values.map(({ tokens }) => tokens)).sort((a, b) => a - b);
  const x = {
    field: "tokens",
    type: "quantitative",
    title: "tokens of the teacher",
    scale: { type: "log", base: 2, nice: false },
    axis: { values: ticks, format: "d", grid: false, labelFlush: true },
  };
  const domain = [
    Math.min(1, ...values.map(({ low }) => low)) / 1.1,
    Math.max(1, ...values.map(({ high }) => high)) * 1.1,
  ];
  const y = {
    field: "value",
    type: "quantitative",
    title: `speed-up over the teacher ↑, ${guidance}`,
    scale: { type: "log", domain, nice: false },
    axis: { format: "~g", tickCount: 6 },
  };
  const color = { field: "sampler", type: "nominal", title: null, scale: { domain: samplers, range: colours } };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    data: { values },
    facet: {
      column: { field: "panel", type: "nominal", sort: distinct(values.map(({ panel }) => panel)), title: null },
    },
    spec: {
      width: 260,
      height: 220,
      layer: [
        {
          mark: { type: "rule", strokeDash: [3, 3], color: "#7f8790" },
          encoding: { y: { ...y, field: undefined, datum: 1 } },
        },
        { mark: { type: "line", point: { size: 36, filled: true }, strokeWidth: 2 }, encoding: { x, y, color } },
        {
          mark: { type: "rule", strokeWidth: 1 },
          encoding: { x, color, y: { ...y, field: "low" }, y2: { field: "high" } },
        },
      ],
    },
    config: pageConfig,
  };
}

function pointsOf({ figures }: Figures, guidance: FigureKey["guidance"]) {
  return Object.keys(figures).map(parseFigureKey).flatMap((key) => {
    const batch = latencyBatches.find((one) => key.metric === latencyName("speedup", one));
    const tokens = figures[figureKey({ row: `${key.row} teacher`, metric: "tokens" })]?.value;
    if (batch === undefined || tokens === undefined || key.guidance !== guidance) return [];
    const { value, standardError = 0 } = figures[figureKey(key)]!;
    return [{
      tokens,
      sampler: key.sampler!,
      panel: `batch ${batch}`,
      value,
      // A logarithmic axis has no zero: a bar that would reach it ends a little above.
      low: Math.max(value - standardError, value / 10),
      high: value + standardError,
    }];
  });
}

const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];
