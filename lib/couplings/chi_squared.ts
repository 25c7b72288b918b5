/**
 * An estimate of χ² = Σ_j p_j²/b_j − 1, how far the masses p of an assignment
 * are from the weights b, from how often each point was hit (arXiv 2509.25519,
 * Eq. 3.5). Unbiased: pairs of distinct draws are counted, so that chance hits
 * add nothing; it is at least −1 and may fall below 0.
 *
 * @param hits `[size]`, how often each point was hit
 * @param weights `[size]`, summing to 1; points of weight 0 are left out
 *
 * @example A third of the pairs of draws meet, where half would by chance; then all of them do
 * ```ts
 * import { chiSquared } from "./chi_squared.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * assertAlmostEquals(chiSquared([2, 1], [0.5, 0.5]), -1 / 3);
 * assertAlmostEquals(chiSquared([4, 0], [0.5, 0.5]), 1);
 * ```
 */
export function chiSquared(hits: ArrayLike<number>, weights: ArrayLike<number>): number {
  let sum = 0, draws = 0;
  for (let j = 0; j < hits.length; j++) {
    draws += hits[j]!;
    if (weights[j]! > 0) sum += hits[j]! * (hits[j]! - 1) / weights[j]!;
  }
  return sum / (draws * (draws - 1)) - 1;
}

/**
 * Draws that tell χ² from `target`: its standard error near equal masses is
 * √(2 · size) / draws, and this makes it a fifth of `target`.
 */
export function drawsFor(target: number, size: number): number {
  return Math.ceil(Math.max(4096, 5 * Math.sqrt(2 * size) / target));
}
