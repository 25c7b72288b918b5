import type { Rng } from "../core/rng.ts";

/** The law of the training times. */
export type TimeOptions =
  | { readonly kind: "uniform" }
  /** t = sigmoid(mean + std·N(0, 1)) (Esser et al. 2024). */
  | { readonly kind: "logitNormal"; readonly mean: number; readonly std: number };

/** The paper's law (§4): a median of .45, where t = 1 is noise. */
export const defaultTimes: TimeOptions = { kind: "logitNormal", mean: -0.2, std: 1 };

/** `count` independent times in [0, 1]. */
export function sampleTimes(options: TimeOptions, count: number, rng: Rng): Float32Array {
  if (options.kind === "uniform") return Float32Array.from(rng.uniform(count));
  const { mean, std } = options;
  return rng.normal(count).map((x) => 1 / (1 + Math.exp(-(mean + std * x))));
}
