import { type Tensor, tf, withProducts } from "../engine/mod.ts";

/** Which factors of a product are read transposed. */
export interface Transposed {
  readonly a?: boolean;
  readonly b?: boolean;
}

/**
 * The matrix product of two rank-2 tensors. The embedded engine has a fast
 * path for plain products alone (16 times faster, measured), so there a
 * factor is transposed first; the native engine reads it transposed.
 */
export function product(a: Tensor, b: Tensor, transposed: Transposed = {}): Tensor {
  const left = a as ReturnType<typeof tf.tensor2d>, right = b as ReturnType<typeof tf.tensor2d>;
  if (tf.getBackend() !== "wasm") return tf.matMul(left, right, transposed.a, transposed.b);
  return tf.matMul(transposed.a ? tf.transpose(left) : left, transposed.b ? tf.transpose(right) : right);
}

/**
 * The sum over rows of `[rows, columns]`, `[columns]`: a product with ones, which
 * both engines do faster than a sum. In float32 whatever products are read in.
 */
export function columnSums(x: Tensor): Tensor {
  const [rows, columns] = x.shape as [number, number];
  const sums = withProducts("float32", () => product(tf.ones([onesRows, rows]), x));
  return tf.slice(sums, [0, 0], [1, columns]).reshape([columns]);
}

/** Not 1: what XLA sees as a vector's product it computes column by column, and x with it, at a third of a step's time. */
const onesRows = 4;
