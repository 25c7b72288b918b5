import { Problem } from "../core/problem.ts";
import { createRng } from "../core/rng.ts";
import { pivotedCholesky } from "./cholesky.ts";
import { reordered, rowProducts, transpose } from "./row_products.ts";
import { accumulateStatistics, mergeStatistics, type Statistics, withoutPart } from "./statistics.ts";
import { inverseFourthRoot, roundingFloor, symmetricEigenvalues } from "./symmetric.ts";
import type { Measurement, MetricInfo } from "./types.ts";

/** Fréchet distance; which features, resize and sample count belong beside the figure. */
export const frechetInfo: MetricInfo = { label: "FD", unit: "", better: "lower", digits: 2 };

export interface FrechetOptions {
  /** Go on with fewer rows than twice the dimensions, where the covariance is poor or singular. */
  readonly allowFewSamples?: boolean;
}

/** A reference distribution, prepared once for many distances. */
export interface FrechetReference {
  readonly statistics: Statistics;
  /** Squared Fréchet distance to another sample. */
  distance(generated: Statistics, options?: FrechetOptions): number;
  /** How fast that distance changes with the other sample's moments. */
  slope(generated: Statistics): Slope;
}

/** The derivative of a distance by a mean, `[dims]`, and by a covariance, `[dims, dims]`. */
export interface Slope {
  readonly mean: Float64Array;
  readonly covariance: Float64Array;
}

/**
 * Squared Fréchet (2-Wasserstein) distance of the two Gaussians with these
 * moments, as FID defines it (Dowson & Landau 1982; Heusel et al. 2017):
 * ‖μ₁ − μ₂‖² + Tr Σ₁ + Tr Σ₂ − 2 Tr √(Σ₁^½ Σ₂ Σ₁^½), by symmetric eigenvalues
 * in float64, so it needs no full rank, and never negative. Those under the root
 * are the same for Lᵀ Σ₂ L with Σ₁ = L Lᵀ, which is cheaper to come by.
 *
 * @throws Problem on fewer than 2·dims rows on either side, unless allowed
 *
 * @example A shift of the mean, equal covariance
 * ```ts
 * import { frechetDistance } from "./frechet.ts";
 * import { statisticsOf } from "./statistics.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const a = statisticsOf(new Float64Array([0, 1, 2, 3]), 1);
 * const b = statisticsOf(new Float64Array([2, 3, 4, 5]), 1);
 * assertAlmostEquals(frechetDistance(a, b), 4);
 * ```
 */
export function frechetDistance(a: Statistics, b: Statistics, options: FrechetOptions = {}): number {
  return frechetReference(a, options).distance(b, options);
}

/** Factors the reference covariance once. Throws as `frechetDistance` does. */
export function frechetReference(statistics: Statistics, options: FrechetOptions = {}): FrechetReference {
  requireRows(statistics, options);
  const { dims, mean, covariance } = statistics;
  const { transposed, order } = pivotedCholesky(covariance, dims);
  /** Lᵀ Σ₂ L. */
  const between = (generated: Statistics) => {
    const half = rowProducts(transposed, reordered(generated.covariance, dims, order), dims, { triangular: "a" });
    return rowProducts(half, transposed, dims, { symmetric: true, triangular: "b" });
  };
  return {
    statistics,
    distance(generated, options = {}) {
      if (generated.dims !== dims) {
        throw new RangeError(`Cannot compare features of ${dims} and ${generated.dims} dimensions`);
      }
      requireRows(generated, options);
      const eigenvalues = symmetricEigenvalues(between(generated), dims);
      const floor = roundingFloor(eigenvalues);
      let distance = 0;
      for (let i = 0; i < dims; i++) {
        const shift = mean[i]! - generated.mean[i]!;
        const overlap = eigenvalues[i]! > floor ? Math.sqrt(eigenvalues[i]!) : 0;
        distance += shift * shift + covariance[i * dims + i]! + generated.covariance[i * dims + i]! - 2 * overlap;
      }
      return Math.max(0, distance);
    },
    slope(generated) {
      // By Σ₂ it is I − L (Lᵀ Σ₂ L)^(−½) Lᵀ: the optimal transport from Σ₂ to Σ₁, taken from the identity.
      const root = inverseFourthRoot(between(generated), dims);
      const half = rowProducts(transpose(transposed, dims), transpose(root, dims), dims);
      const places = new Int32Array(dims);
      order.forEach((row, place) => places[row] = place);
      const slope = reordered(rowProducts(half, half, dims, { symmetric: true }), dims, places).map((x) => -x);
      for (let i = 0; i < dims; i++) slope[i * dims + i]! += 1;
      return { mean: generated.mean.map((x, i) => 2 * (x - mean[i]!)), covariance: slope };
    },
  };
}

/**
 * The Fréchet distance of generated features to a reference, with a standard
 * error by the delete-a-group jackknife: the rows are dealt at random (with a
 * fixed key) into `groups`, each left out in turn. It covers the sampling of
 * the generated set alone: not that of the reference, not the seed of the
 * training, and not the upward bias of about dims²/count, which is common to
 * all figures of one count. With labels balanced by design it errs upwards.
 * On many features, where a distance takes seconds, those of the groups are taken
 * from its slope.
 *
 * @param features `[count, dims]`, row-major
 * @param options `linear`: take them from the slope; default above 256 features
 * @throws Problem on fewer than 2·dims rows, unless allowed
 */
export function frechetMeasurement(
  features: Float32Array | Float64Array,
  reference: FrechetReference,
  options: FrechetOptions & { readonly groups?: number; readonly linear?: boolean } = {},
): Measurement {
  const { dims } = reference.statistics;
  const count = features.length / dims;
  const groupCount = Math.min(options.groups ?? 20, count);
  const parts = groupStatistics(features, dims, groupCount);
  const total = parts.reduce(mergeStatistics);
  const value = reference.distance(total, options);
  if (groupCount < 2) return { value, sampleCount: count };
  const rest = parts.map((part) => withoutPart(total, part));
  const left = options.linear ?? dims > 256
    ? changesAlong(reference.slope(total), total, rest)
    : rest.map((one) => reference.distance(one, { allowFewSamples: true }));
  const mean = left.reduce((sum, x) => sum + x, 0) / groupCount;
  const spread = left.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { value, standardError: Math.sqrt((groupCount - 1) / groupCount * spread), sampleCount: count };
}

/** How the distance differs from that of `total`, to first order. */
function changesAlong({ mean, covariance }: Slope, total: Statistics, others: readonly Statistics[]): number[] {
  const along = (slope: Float64Array, from: Float64Array, to: Float64Array) => {
    let sum = 0;
    for (let i = 0; i < slope.length; i++) sum += slope[i]! * (to[i]! - from[i]!);
    return sum;
  };
  return others.map((one) => along(mean, total.mean, one.mean) + along(covariance, total.covariance, one.covariance));
}

function groupStatistics(features: Float32Array | Float64Array, dims: number, groups: number): Statistics[] {
  const order = createRng(0).fork("jackknife").permutation(features.length / dims);
  return Array.from({ length: groups }, (_, group) => {
    const accumulator = accumulateStatistics(dims);
    const rows = order.filter((_, i) => i % groups === group);
    const gathered = new Float64Array(rows.length * dims);
    rows.forEach((row, i) => gathered.set(features.subarray(row * dims, (row + 1) * dims), i * dims));
    accumulator.add(gathered);
    return accumulator.finish();
  });
}

function requireRows({ count, dims }: Statistics, { allowFewSamples }: FrechetOptions): void {
  if (allowFewSamples || count >= 2 * dims) return;
  throw new Problem(
    `Cannot take a Fréchet distance of ${count} samples on ${dims} features: ` +
      `expected at least ${2 * dims}, so measure more samples or allow few of them explicitly`,
  );
}
