import * as vega from "vega";
import * as vegaLite from "vega-lite";
import { writeFileAtomic } from "../core/files.ts";
import { type FigureKey, type Figures, parseFigureKey } from "../results/figures.ts";
import { metricTitle } from "./sections.ts";

/** Which figures a plot shows, and against what. */
export interface PlotOptions {
  /** The file's name, without its ending. */
  readonly name: string;
  /** `samples`: convergence, as Figures 2, 3, 5 and 6; `nfe`: the last checkpoint against solver steps, as Table 5. */
  readonly against: "samples" | "nfe";
  readonly metric: string;
  readonly guidance: NonNullable<FigureKey["guidance"]>;
}

/** The plots that some figures are worth: convergence where there are checkpoints, else the course over NFE. */
export function plotsOf(figures: Figures): readonly PlotOptions[] {
  const keys = Object.keys(figures.figures).map(parseFigureKey).filter((key) => key.checkpoint !== undefined);
  const plots: PlotOptions[] = [];
  for (const guidance of ["guided", "unguided"] as const) {
    const of = keys.filter((key) => key.metric === "frechet" && key.guidance === guidance);
    const checkpoints = new Set(of.map((key) => key.checkpoint)).size;
    const samplers = new Set(of.map((key) => key.sampler)).size;
    if (checkpoints > 1) {
      plots.push({ name: `convergence-${guidance}`, against: "samples", metric: "frechet", guidance });
    }
    if (samplers > 2) plots.push({ name: `nfe-${guidance}`, against: "nfe", metric: "frechet", guidance });
  }
  return plots;
}

/** Near the Okabe–Ito colours, of middle lightness: told apart by most eyes, on light ground and on dark. */
export const colours = ["#D55E00", "#3A8FD6", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
const middleGrey = "#7f8790";

/**
 * A metric against samples seen or against NFE (both axes logarithmic), a
 * colour per row, bars of one standard error; a panel per sampler in the first,
 * a dash per solver in the second. An SVG without a background, readable on
 * light and on dark pages; the same figures give the same bytes.
 *
 * @throws {TypeError} when no figure matches.
 */
export async function renderPlot(figures: Figures, options: PlotOptions): Promise<string> {
  return await renderSpec(plotSpec(figures, options));
}

/** A Vega-Lite specification as SVG. */
export async function renderSpec(specification: object): Promise<string> {
  const { spec } = vegaLite.compile(specification as never);
  const view = new vega.View(vega.parse(spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  return withPageColours(svg);
}

/** Writes the plot, whole or not at all. */
export async function writePlot(path: string, figures: Figures, options: PlotOptions): Promise<void> {
  await writeFileAtomic(path, await renderPlot(figures, options));
}

/** The plot as a Vega-Lite specification, data included. */
export function plotSpec(figures: Figures, options: PlotOptions): object {
  const points = pointsOf(figures, options);
  if (points.length === 0) throw new TypeError(`Cannot plot ${options.metric} ${options.guidance}: no figure has it`);
  const bySamples = options.against === "samples";
  const last = Math.max(...points.map(({ samples }) => samples));
  const values = bySamples ? points : points.filter(({ samples }) => samples === last);
  const rows = distinct(values.map(({ row }) => row)), samplers = distinct(values.map(({ sampler }) => sampler));
  const field = bySamples ? "samples" : "nfe";
  const ticks = distinct(values.map((value) => value[field])).sort((a, b) => a - b);
  const x = {
    field,
    type: "quantitative",
    title: bySamples ? "samples seen" : "NFE",
    scale: { type: "log", base: 2, nice: false },
    axis: { values: ticks, format: "~s", grid: false, labelFlush: true, labelOverlap: true },
  };
  const y = {
    field: "value",
    type: "quantitative",
    title: `${metricTitle(figures.metrics[options.metric]!)}, ${options.guidance}`,
    scale: {
      type: "log",
      domain: [Math.min(...values.map(({ low }) => low)) / 1.1, Math.max(...values.map(({ high }) => high)) * 1.1],
      nice: false,
    },
    axis: { format: "~s", tickCount: 6 },
  };
  const color = { field: "row", type: "nominal", title: null, scale: { domain: rows, range: colours } };
  const dash = bySamples ? {} : { strokeDash: { field: "solver", type: "nominal", title: null, legend: solverLegend } };
  const panel = {
    width: bySamples && samplers.length > 1 ? 220 : 340,
    height: 220,
    encoding: { x, color },
    layer: [
      {
        mark: { type: "line", point: { size: 36, filled: true }, strokeWidth: 2 },
        encoding: { y, ...dash },
      },
      {
        mark: { type: "rule", strokeWidth: 1 },
        encoding: { y: { ...y, field: "low" }, y2: { field: "high" } },
      },
    ],
  };
  const facet = { column: { field: "sampler", type: "nominal", sort: samplers, title: null } };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    data: { values },
    ...(bySamples && samplers.length > 1 ? { facet, spec: panel } : panel),
    config: pageConfig,
  };
}

function pointsOf(figures: Figures, { metric, guidance, against }: PlotOptions) {
  return Object.entries(figures.figures).flatMap(([text, figure]) => {
    const key = parseFigureKey(text);
    if (key.metric !== metric || key.guidance !== guidance || key.checkpoint === undefined) return [];
    if (against === "nfe" && key.sampler === undefined) return [];
    const { value, standardError = 0 } = figure;
    const [method = "", nfe = "0", grid = "t²"] = key.sampler?.split(" ") ?? [];
    return [{
      row: key.row,
      sampler: key.sampler ?? "",
      solver: `${method} (${grid})`,
      nfe: Number(nfe),
      samples: key.checkpoint,
      value,
      // A logarithmic axis has no zero: a bar that would reach it ends a little above.
      low: Math.max(value - standardError, value / 10),
      high: value + standardError,
    }];
  });
}

/** Pieces of line, drawn in a shade that shows on light and dark pages. */
const solverLegend = {
  symbolType: "stroke",
  symbolSize: 400,
  encode: { symbols: { update: { stroke: { value: middleGrey }, fill: { value: null } } } },
};

const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** How all plots look. */
export const pageConfig = {
  background: null,
  font: "system-ui, sans-serif",
  view: { stroke: middleGrey, strokeOpacity: 0.4 },
  axis: {
    labelColor: middleGrey,
    titleColor: middleGrey,
    tickColor: middleGrey,
    domainColor: middleGrey,
    gridColor: middleGrey,
    gridOpacity: 0.25,
    labelFontSize: 11,
    titleFontSize: 12,
    titleFontWeight: "normal",
  },
  header: { labelColor: middleGrey, labelFontSize: 12 },
  legend: { labelColor: middleGrey, labelFontSize: 12, symbolStrokeWidth: 2 },
};

/** Text in the page's own shade where the viewer knows it; middle grey elsewhere. */
function withPageColours(svg: string): string {
  const style = "<style>text{fill:#1f2328}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>";
  return `${svg.replace(/(<svg[^>]*>)/, `$1${style}`)}\n`;
}
