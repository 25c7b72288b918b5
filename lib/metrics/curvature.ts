import { meanOf } from "./mean.ts";
import type { Measurement, MetricInfo } from "./types.ts";

/** κ of paper §4.1.1; comparable only within one solver, grid and NFE. */
export const curvatureInfo: MetricInfo = { label: "κ", unit: "", better: "lower", digits: 4 };

/** Mean curvature over trajectories with its standard error. `perSample` is what a sampler returns. */
export function curvatureMeasurement(perSample: Float64Array): Measurement {
  return meanOf(perSample);
}
