import type { Rng } from "../core/rng.ts";

/** `[count]`: 1 where a label is dropped, each with probability `rate`. */
export function droppedRows(count: number, rate: number, rng: Rng): Uint8Array {
  return Uint8Array.from(rng.uniform(count), (draw) => draw < rate ? 1 : 0);
}

/** Labels, each replaced by −1, the dropped label ∅, with probability `rate`: what guidance needs (paper §3.2). */
export function dropLabels(labels: Int32Array, rate: number, rng: Rng): Int32Array {
  const dropped = droppedRows(labels.length, rate, rng);
  return labels.map((label, i) => dropped[i] ? -1 : label);
}
