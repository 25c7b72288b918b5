import { Problem } from "../core/problem.ts";
import { nativeEngine } from "./native.ts";

/** The element type in which factors of matrix products are read. Sums are float32 in either. */
export const productTypes = ["float32", "bfloat16"] as const;
export type ProductType = typeof productTypes[number];

let current: ProductType = "float32";

/** What factors are read in now. */
export function productType(): ProductType {
  return current;
}

/**
 * Runs `body`, recorded or eager, with factors of matrix products rounded to
 * `type`; sums and all that is no product stay float32. Compiled for a processor
 * that is all that bfloat16 means; stacks of matrices, as in attention, stay
 * float32, and the transpose of a product must not by itself be a result, which
 * is an error of XLA's. Elsewhere the result of a product is rounded as well, to
 * its 8 bits, 0.4 % of a value at most; so may be the parts of its sum that a GPU,
 * or a processor without AVX-512, computes apart. The embedded engine knows float32
 * alone.
 *
 * @throws {Problem} for bfloat16 on the embedded engine
 */
export function withProducts<Result>(type: ProductType, body: () => Result): Result {
  if (type !== "float32" && !nativeEngine()) {
    throw new Problem(`The embedded engine cannot multiply in ${type}: use the native one, or products: float32`);
  }
  const before = current;
  current = type;
  try {
    return body();
  } finally {
    current = before;
  }
}
