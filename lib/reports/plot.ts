import * as vega from "vega";
import * as vegaLite from "vega-lite";
import { writeFileAtomic } from "../core/files.ts";
import { type FigureKey, type Figures, parseFigureKey } from "../results/figures.ts";
import { metricTitle } from "./sections.ts";

/** Which figures a plot shows. */
export interface PlotOptions {
  readonly metric: string;
  readonly guidance: NonNullable<FigureKey["guidance"]>;
}

/** Near the Okabe–Ito colours, of middle lightness: told apart by most eyes, on light ground and on dark. */
const colours = ["#D55E00", "#3A8FD6", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
const middleGrey = "#7f8790";

/**
 * Convergence as in the paper's Figure 2: a metric against samples seen (both
 * logarithmic), a colour per row, a panel per sampler, bars of one standard
 * error. An SVG without a background, readable on light and on dark pages; the
 * same figures give the same bytes.
 *
 * @throws {TypeError} when no figure matches.
 */
export async function convergencePlot(figures: Figures, options: PlotOptions): Promise<string> {
  const spec = vegaLite.compile(convergenceSpec(figures, options) as never).spec;
  const view = new vega.View(vega.parse(spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  return withPageColours(svg);
}

/** Writes the plot, whole or not at all. */
export async function writePlot(path: string, figures: Figures, options: PlotOptions): Promise<void> {
  await writeFileAtomic(path, await convergencePlot(figures, options));
}

/** The plot as a Vega-Lite specification, data included. */
export function convergenceSpec(figures: Figures, { metric, guidance }: PlotOptions): object {
  const values = Object.entries(figures.figures).flatMap(([text, figure]) => {
    const key = parseFigureKey(text);
    if (key.metric !== metric || key.guidance !== guidance || key.checkpoint === undefined) return [];
    const { value, standardError = 0 } = figure;
    // A logarithmic axis has no zero: a bar that would reach it ends a little above.
    const low = Math.max(value - standardError, value / 10);
    return [{
      row: key.row,
      sampler: key.sampler ?? "",
      samples: key.checkpoint,
      value,
      low,
      high: value + standardError,
    }];
  });
  if (values.length === 0) throw new TypeError(`Cannot plot ${metric} ${guidance}: no figure has it`);
  const rows = [...new Set(values.map(({ row }) => row))];
  const samplers = [...new Set(values.map(({ sampler }) => sampler))];
  const ticks = [...new Set(values.map(({ samples }) => samples))].sort((a, b) => a - b);
  const x = {
    field: "samples",
    type: "quantitative",
    title: "samples seen",
    scale: { type: "log", base: 2, nice: false },
    axis: { values: ticks, format: "~s", grid: false, labelFlush: true },
  };
  const y = {
    field: "value",
    type: "quantitative",
    title: `${metricTitle(figures.metrics[metric]!)}, ${guidance}`,
    scale: {
      type: "log",
      domain: [Math.min(...values.map(({ low }) => low)) / 1.1, Math.max(...values.map(({ high }) => high)) * 1.1],
      nice: false,
    },
    axis: { format: "~s", tickCount: 6 },
  };
  const color = { field: "row", type: "nominal", title: null, scale: { domain: rows, range: colours } };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    data: { values },
    facet: { column: { field: "sampler", type: "nominal", sort: samplers, title: null } },
    spec: {
      width: 220,
      height: 220,
      encoding: { x, color },
      layer: [
        { mark: { type: "line", point: { size: 36, filled: true }, strokeWidth: 2 }, encoding: { y } },
        { mark: { type: "rule", strokeWidth: 1 }, encoding: { y: { ...y, field: "low" }, y2: { field: "high" } } },
      ],
    },
    config: pageConfig,
  };
}

const pageConfig = {
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
