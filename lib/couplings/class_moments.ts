import { Problem } from "../core/problem.ts";
import { dimensionOf } from "./data_draw.ts";
import { encodings } from "./encodings.ts";
import type { CouplingInputs, Teacher } from "./types.ts";

/** Mean and covariance of the teacher's noise within one class. */
export interface ClassMoments {
  readonly count: number;
  /** `[dimension]`. */
  readonly mean: Float64Array;
  /** `[dimension, dimension]`, divided by `count`. */
  readonly covariance: Float64Array;
}

/**
 * Mean and full covariance of f(x + ηε′, c) in every class, over `encodings`,
 * accumulated in float64; a class without images has zeros.
 *
 * @throws {Problem} exit code 70, when the teacher's noise is not finite
 */
export async function classMoments(
  inputs: CouplingInputs,
  teacher: Teacher,
  samples?: number,
): Promise<ClassMoments[]> {
  const { classes, shape } = inputs.dataset, dimension = dimensionOf(shape);
  const sums = Array.from({ length: classes }, () => ({
    count: 0,
    mean: new Float64Array(dimension),
    products: new Float64Array(dimension ** 2),
  }));
  const note = "measuring the teacher's covariances over the training set";
  for await (const { noise, labels } of encodings(inputs, teacher, note, samples)) {
    labels.forEach((label, row) => {
      const own = sums[label]!, f = noise.subarray(row * dimension, (row + 1) * dimension);
      own.count++;
      for (let i = 0; i < dimension; i++) {
        const value = f[i]!, at = i * dimension;
        own.mean[i]! += value;
        for (let j = 0; j <= i; j++) own.products[at + j]! += value * f[j]!;
      }
    });
  }
  return sums.map(({ count, mean: sum, products }) => {
    if (!sum.every(Number.isFinite)) {
      throw new Problem(
        "The teacher's noise is not finite over the training set, so it has no covariance: " +
          "train the teacher again at a lower rate",
        { exitCode: 70 },
      );
    }
    const mean = sum.map((value) => value / Math.max(count, 1));
    return { count, mean, covariance: centred(products, mean, count) };
  });
}

/** E[ffᵀ] − E[f]E[f]ᵀ from the lower triangle of Σ ffᵀ. */
function centred(products: Float64Array, mean: Float64Array, count: number): Float64Array {
  const dimension = mean.length, covariance = new Float64Array(products.length);
  for (let i = 0; i < dimension; i++) {
    for (let j = 0; j <= i; j++) {
      const value = products[i * dimension + j]! / Math.max(count, 1) - mean[i]! * mean[j]!;
      covariance[i * dimension + j] = covariance[j * dimension + i] = value;
    }
  }
  return covariance;
}
