import { writeFileAtomic } from "../core/files.ts";
import type { LossCurves } from "../results/losses.ts";
import { colours, pageConfig, renderSpec } from "./plot.ts";

/**
 * Training losses against samples seen, on a logarithmic scale as in paper
 * Figure 6, a line per row. An SVG; the same curves give the same bytes.
 *
 * @throws {TypeError} when there is no curve.
 */
export async function renderLossPlot(curves: LossCurves): Promise<string> {
  return await renderSpec(lossSpec(curves));
}

/** Writes the plot, whole or not at all. */
export async function writeLossPlot(path: string, curves: LossCurves): Promise<void> {
  await writeFileAtomic(path, await renderLossPlot(curves));
}

/** The plot as a Vega-Lite specification, data included. */
export function lossSpec(curves: LossCurves): object {
  const values = Object.entries(curves).flatMap(([row, points]) =>
    points.map(([samples, loss]) => ({ row, samples, loss }))
  );
  if (values.length === 0) throw new TypeError("Cannot plot the training loss: there is none");
  const losses = values.map(({ loss }) => loss), most = Math.max(...values.map(({ samples }) => samples));
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    data: { values },
    width: 440,
    height: 260,
    mark: { type: "line", strokeWidth: 1.5 },
    encoding: {
      x: {
        field: "samples",
        type: "quantitative",
        title: "samples seen",
        scale: { domain: [0, most], nice: false },
        axis: { labelExpr: "format(datum.value, '~s')", grid: false, labelFlush: true, tickCount: 8 },
      },
      y: {
        field: "loss",
        type: "quantitative",
        title: "training loss ↓",
        scale: { type: "log", domain: [Math.min(...losses) / 1.05, Math.max(...losses) * 1.05], nice: false },
        axis: { format: "~g", tickCount: 6 },
      },
      color: { field: "row", type: "nominal", title: null, scale: { domain: Object.keys(curves), range: colours } },
    },
    config: pageConfig,
  };
}
