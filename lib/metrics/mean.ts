import type { Measurement } from "./types.ts";

/** The mean of per-sample values, in float64, with its standard error (from two samples on). */
export function meanOf(values: ArrayLike<number>): Measurement {
  const n = values.length;
  let mean = 0, squares = 0;
  for (let i = 0; i < n; i++) { // Welford's update: no cancellation, one pass
    const delta = values[i]! - mean;
    mean += delta / (i + 1);
    squares += delta * (values[i]! - mean);
  }
  if (n < 2) return { value: mean, sampleCount: n };
  return { value: mean, standardError: Math.sqrt(squares / (n - 1) / n), sampleCount: n };
}
