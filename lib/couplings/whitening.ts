import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { Problem } from "../core/problem.ts";
import { tf } from "../engine/mod.ts";
import { type ClassMoments, classMoments } from "./class_moments.ts";
import { dimensionOf } from "./data_draw.ts";
import type { Fitted } from "./kept.ts";
import type { NoiseScale } from "./noise_scale.ts";
import type { CouplingInputs, Teacher } from "./types.ts";

/** Values in all classes' matrices together, at most: 64 MiB in float64. */
const largest = 2 ** 23;

/**
 * What class-wise whitening needs: the class means `[classes · dimension]` and
 * the symmetric inverse roots Σ_c^(−1/2) `[classes · dimension · dimension]`,
 * of all maps to unit covariance the one nearest to the identity.
 *
 * A class of n < 2 · dimension images has too few for a covariance of its own:
 * Σ_c is then mixed with the mean of all classes' covariances, in the share
 * 1 − n / (2 · dimension).
 *
 * Facts: the greatest such share, the least and greatest standard deviation
 * along any axis of any class, and the root mean square of the class means.
 *
 * @throws {Problem} when the matrices would not fit in memory, and (exit code
 *   70) when a covariance has no inverse
 */
export async function fitWhitening(inputs: CouplingInputs, teacher: Teacher, samples?: number): Promise<Fitted> {
  const { classes, shape } = inputs.dataset, dimension = dimensionOf(shape);
  if (classes * dimension ** 2 > largest) {
    throw new Problem(
      `Cannot whiten ${classes} classes of ${dimension} dimensions: one covariance matrix a class takes too much memory; ` +
        "expected smaller images, or sigma: perDimension instead of whitening: class",
    );
  }
  const moments = await classMoments(inputs, teacher, samples);
  const pooled = pool(moments), common = meanOfMeans(moments);
  const means = new Float32Array(classes * dimension), roots = new Float32Array(classes * dimension ** 2);
  const facts = { whiteningShrinkage: 0, whiteningMin: Infinity, whiteningMax: 0, classMeanSize: 0 };
  moments.forEach((own, label) => {
    const share = Math.max(0, 1 - own.count / (2 * dimension));
    const covariance = own.covariance.map((value, i) => (1 - share) * value + share * pooled[i]!);
    const { root, least, greatest } = inverseRoot(covariance, dimension, label);
    means.set(own.count > 0 ? own.mean : common, label * dimension);
    roots.set(root, label * dimension ** 2);
    facts.whiteningShrinkage = Math.max(facts.whiteningShrinkage, share);
    facts.whiteningMin = Math.min(facts.whiteningMin, Math.sqrt(least));
    facts.whiteningMax = Math.max(facts.whiteningMax, Math.sqrt(greatest));
  });
  facts.classMeanSize = Math.sqrt(means.reduce((sum, value) => sum + value ** 2, 0) / means.length);
  return { vectors: [means, roots], facts };
}

/** z = Σ_c^(−1/2) (f − mean_c), from what `fitWhitening` gives. */
export function placeWhitening({ vectors }: Fitted, { dataset }: CouplingInputs): NoiseScale {
  const { classes, shape } = dataset, dimension = dimensionOf(shape);
  const means = tf.tensor3d(vectors[0]!, [classes, 1, dimension]);
  const roots = tf.tensor3d(vectors[1]!, [classes, dimension, dimension]);
  return {
    toNoise: (encoded, labels) =>
      tf.tidy(() => {
        const own = labels as ReturnType<typeof tf.tensor1d>;
        const centred = encoded.reshape([-1, 1, dimension]).sub(tf.gather(means, own));
        return tf.matMul(centred as typeof means, tf.gather(roots, own)).reshape(encoded.shape);
      }),
    dispose: () => tf.dispose([means, roots]),
  };
}

/** Σ^(−1/2) and the extreme eigenvalues of Σ, `[dimension, dimension]`. */
function inverseRoot(covariance: Float64Array, dimension: number, label: number) {
  const rows = Array.from({ length: dimension }, (_, i) => covariance.subarray(i * dimension, (i + 1) * dimension));
  const { realEigenvalues: values, eigenvectorMatrix: vectors } = new EigenvalueDecomposition(new Matrix(rows), {
    assumeSymmetric: true,
  });
  const least = Math.min(...values), greatest = Math.max(...values);
  if (!(least > 1e-8 * greatest)) {
    throw new Problem(
      `Cannot whiten class ${label}: the covariance of the teacher's noise has no inverse; ` +
        "train the teacher longer, or use more images",
      { exitCode: 70 },
    );
  }
  const scaled = vectors.clone().mulRowVector(values.map((value) => 1 / Math.sqrt(value)));
  return { root: scaled.mmul(vectors.transpose()).to1DArray(), least, greatest };
}

/** The mean of the classes' covariances, weighed by their images: the covariance within classes. */
function pool(moments: readonly ClassMoments[]): Float64Array {
  const total = moments.reduce((sum, { count }) => sum + count, 0);
  const pooled = new Float64Array(moments[0]!.covariance.length);
  for (const { count, covariance } of moments) {
    covariance.forEach((value, i) => pooled[i]! += value * count / total);
  }
  return pooled;
}

/** The mean over all images, for a class that has none. */
function meanOfMeans(moments: readonly ClassMoments[]): Float64Array {
  const total = moments.reduce((sum, { count }) => sum + count, 0);
  const sum = new Float64Array(moments[0]!.mean.length);
  for (const { count, mean } of moments) mean.forEach((value, i) => sum[i]! += value * count / total);
  return sum;
}
