import type { Rng } from "../core/rng.ts";

/** Labels, each replaced by −1, the dropped label ∅, with probability `rate`: what guidance needs (paper §3.2). */
export function dropLabels(labels: Int32Array, rate: number, rng: Rng): Int32Array {
  const draws = rng.uniform(labels.length);
  return labels.map((label, i) => draws[i]! < rate ? -1 : label);
}
