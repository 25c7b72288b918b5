import { float64Algebra } from "../engine/mod.ts";

/** What is known of the factors of a product beforehand, to save work. */
export interface Structure {
  /** The product is symmetric. */
  readonly symmetric?: boolean;
  /** Row r of this factor is zero before place r. */
  readonly triangular?: "a" | "b";
}

/** Rows of `b` that stay in cache while those of `a` pass by. */
const blockRows = 64;

/**
 * The products of rows, A Bᵀ, of two `[n, length]` row-major matrices: the engine's of large matrices where
 * it has them, else two rows of each at a time.
 *
 * @returns `[n, n]`
 */
export function rowProducts(
  a: Float64Array,
  b: Float64Array,
  n: number,
  structure: Structure = {},
): Float64Array {
  const out = float64Algebra(n)?.rowProducts(a, b, n) ?? productsHere(a, b, n, structure);
  if (structure.symmetric) { for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) out[i * n + j] = out[j * n + i]!; }
  return out;
}

function productsHere(
  a: Float64Array,
  b: Float64Array,
  n: number,
  { symmetric = false, triangular }: Structure,
): Float64Array {
  const length = a.length / n, out = new Float64Array(n * n);
  for (let block = 0; block < n; block += blockRows) {
    const end = Math.min(n, block + blockRows);
    for (let i = 0; i < (symmetric ? end : n); i += 2) {
      const i1 = Math.min(i + 1, n - 1), a0 = i * length, a1 = i1 * length;
      for (let j = symmetric ? Math.max(block, i) : block; j < end; j += 2) {
        const j1 = Math.min(j + 1, n - 1), b0 = j * length, b1 = j1 * length;
        let s00 = 0, s01 = 0, s10 = 0, s11 = 0;
        for (let k = triangular === "a" ? i : triangular === "b" ? j : 0; k < length; k++) {
          const x0 = a[a0 + k]!, x1 = a[a1 + k]!, y0 = b[b0 + k]!, y1 = b[b1 + k]!;
          s00 += x0 * y0;
          s01 += x0 * y1;
          s10 += x1 * y0;
          s11 += x1 * y1;
        }
        out[i * n + j] = s00;
        out[i * n + j1] = s01;
        out[i1 * n + j] = s10;
        out[i1 * n + j1] = s11;
      }
    }
  }
  return out;
}

/** Rows and columns of a symmetric `[d, d]` in another order. */
export function reordered(matrix: Float64Array, d: number, order: Int32Array): Float64Array {
  const out = new Float64Array(d * d);
  for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) out[i * d + j] = matrix[order[i]! * d + order[j]!]!;
  return out;
}

/** `[d, d]`, rows for columns. */
export function transpose(a: Float64Array, d: number): Float64Array {
  const out = new Float64Array(d * d);
  for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) out[j * d + i] = a[i * d + j]!;
  return out;
}
