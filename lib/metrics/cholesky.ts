import { transpose } from "./row_products.ts";
import { roundingFloor } from "./symmetric.ts";

/**
 * A factor L of a covariance, L Lᵀ = P Σ Pᵀ, by Cholesky's method with the
 * largest remaining pivot first. It needs no full rank: what is left below
 * rounding counts as 0.
 *
 * @param matrix `[d, d]` row-major, positive semidefinite
 * @returns L transposed, `[d, d]`, whose row k is zero before place k, and for each of its places the row of `matrix`
 */
export function pivotedCholesky(matrix: Float64Array, d: number): { transposed: Float64Array; order: Int32Array } {
  const order = Int32Array.from({ length: d }, (_, i) => i);
  const left = Float64Array.from({ length: d }, (_, i) => matrix[i * d + i]!); // of the diagonal, by place
  const floor = roundingFloor(left);
  const lower = new Float64Array(d * d), kept = new Float64Array(d);
  for (let k = 0; k < d; k++) {
    let pivot = k;
    for (let i = k + 1; i < d; i++) if (left[i]! > left[pivot]!) pivot = i;
    if (!(left[pivot]! > floor)) break;
    for (const places of [order, left]) [places[k], places[pivot]] = [places[pivot]!, places[k]!];
    kept.set(lower.subarray(k * d, k * d + k));
    lower.copyWithin(k * d, pivot * d, pivot * d + k);
    lower.set(kept.subarray(0, k), pivot * d);
    const root = lower[k * d + k] = Math.sqrt(left[k]!);
    for (let i = k + 1; i < d; i++) {
      const value = (matrix[order[i]! * d + order[k]!]! - dot(lower, i * d, k * d, k)) / root;
      lower[i * d + k] = value;
      left[i]! -= value * value;
    }
  }
  return { transposed: transpose(lower, d), order };
}

function dot(a: Float64Array, from: number, other: number, length: number): number {
  let even = 0, odd = 0;
  for (let j = 0; j + 1 < length; j += 2) {
    even += a[from + j]! * a[other + j]!;
    odd += a[from + j + 1]! * a[other + j + 1]!;
  }
  return length % 2 === 0 ? even + odd : even + odd + a[from + length - 1]! * a[other + length - 1]!;
}
