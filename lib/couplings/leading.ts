import type { Rng } from "../core/rng.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { product } from "../nn/product.ts";
import { type Features, mirrorInPlace, viewsOf, widthOf } from "./features.ts";
import type { NoiseSource } from "./masses.ts";
import type { PointSet } from "./point_set.ts";
import type { GroupedNoise } from "./soft_assignment.ts";

/** Orthonormal directions along which points spread most, and where the points lie along them. */
export interface Leading {
  /** `[width, directions]`; where points stand for their mirror images too, the first half is even and the second odd. */
  readonly directions: Tensor;
  /** Of each set, `[directions, chunkSize]` a chunk. */
  readonly ofPoints: readonly (readonly Tensor[])[];
  dispose(): void;
}

/** Noise in groups of samples that have all but their coordinates along a few directions in common. */
export interface Grouping {
  readonly groups: number;
  /** Samples of one group. */
  readonly size: number;
  /** Directions along which they differ; 0 where a group is one sample. */
  readonly directions: number;
}

/**
 * How noise is grouped for points of so many dimensions. What a sample's scores
 * need of whole points is its group's, so that their product costs an eighth, and
 * what the directions take. With about 2√dimension of them, an even number, the
 * samples of a group go to points as different as those of independent noise do:
 * as many draws, to a tenth, give the same χ² (images of 256 and 784 values). In
 * few dimensions there is nothing to gain.
 */
export function groupingOf({ dimension }: Features, samples: number): Grouping {
  const size = 8, directions = 2 * Math.round(Math.sqrt(dimension));
  if (directions > dimension / 4) return { groups: samples, size: 1, directions: 0 };
  return { groups: Math.ceil(samples / size), size, directions };
}

/** Power iterations from random directions. Any directions would be right; better ones leave less in common. */
const iterations = 2;

/**
 * The leading principal directions of all sets' points and their mirror images,
 * by subspace iteration. Labels have no part in them.
 */
export async function leadingDirections(sets: readonly PointSet[], count: number, rng: Rng): Promise<Leading> {
  const { features } = sets[0]!, width = widthOf(features), chunks = sets.flatMap(({ chunks }) => chunks);
  const trace = sets.reduce((sum, { norms }) => sum + norms.reduce((sum, norm) => sum + norm ** 2, 0), 0) || 1;
  let columns = orthonormal(features, Float64Array.from(rng.normal(width * count)), count);
  for (let i = 0; i < iterations; i++) {
    const placed = place(columns, count), spread = new Float64Array(width * count);
    for (const chunk of chunks) {
      const ofChunk = tf.tidy(() => product(chunk, product(chunk, placed, { a: true })));
      (await ofChunk.data()).forEach((value, k) => spread[k]! += value);
      ofChunk.dispose();
    }
    placed.dispose();
    // A little of the identity gives as many directions as were asked for where the points have fewer.
    columns = orthonormal(features, spread.map((value, k) => value + 1e-3 * trace / width * columns[k]!), count);
  }
  const directions = place(columns, count);
  const ofPoints = sets.map(({ chunks }) =>
    chunks.map((chunk) => tf.tidy(() => product(directions, chunk, { a: true })))
  );
  return { directions, ofPoints, dispose: () => tf.dispose([directions, ...ofPoints.flat()]) };
}

function place(columns: Float64Array, count: number): Tensor {
  return tf.tensor2d(Float32Array.from(columns), [columns.length / count, count]);
}

/**
 * Orthonormal columns for those given, `[width, count]`: the first half made even and the second odd, without labels.
 * By Gram and Schmidt, twice, which is as good as ml-matrix's reflections and, on flat arrays, takes a fraction of their time.
 */
function orthonormal(features: Features, columns: Float64Array, count: number): Float64Array {
  const { dimension, mirror } = features, basis: Float64Array[] = [];
  for (let c = 0; c < count; c++) {
    const image = Float64Array.from({ length: dimension }, (_, k) => columns[k * count + c]!);
    if (mirror) {
      const mirrored = image.slice(), sign = c < count / 2 ? 1 : -1;
      mirrorInPlace(mirrored, mirror[2]);
      for (let k = 0; k < dimension; k++) image[k]! += sign * mirrored[k]!;
    }
    for (let pass = 0; pass < 2; pass++) {
      for (const direction of basis) addTo(image, direction, -inner(image, direction));
      addTo(image, image, 1 / Math.sqrt(inner(image, image)) - 1);
    }
    basis.push(image);
  }
  const result = new Float64Array(widthOf(features) * count);
  basis.forEach((image, c) => image.forEach((value, k) => result[k * count + c] = value));
  return result;
}

function inner(a: Float64Array, b: Float64Array): number {
  // Two sums side by side: one addition need not wait for the other.
  let even = 0, odd = 0;
  for (let k = 0; k < a.length; k += 2) {
    even += a[k]! * b[k]!;
    odd += (a[k + 1] ?? 0) * (b[k + 1] ?? 0);
  }
  return even + odd;
}

/** a ← a + scale · b */
function addTo(a: Float64Array, b: Float64Array, scale: number): void {
  for (let k = 0; k < a.length; k++) a[k]! += scale * b[k]!;
}

/**
 * Draws the noise of a step, from N(0, I): x = z − VVᵀz + Vs for each group's z and each
 * sample's s. The caller disposes what it is given.
 */
export function drawGroups(
  source: NoiseSource,
  features: Features,
  { groups, size, directions: count }: Grouping,
  leading: Leading | undefined,
  rng: Rng,
): GroupedNoise {
  const rows = source(groups, rng);
  if (!leading) return { rows };
  const { directions } = leading, normal = rng.fork("leading").normal(groups * size * count);
  const noise = tf.tidy(() => {
    const samples = tf.tensor2d(normal, [groups * size, count]);
    // In the mirror what lies along an odd direction is turned round.
    const signs = tf.tensor1d(Array.from({ length: count }, (_, c) => c < count / 2 ? 1 : -1));
    const views = viewsOf(features) === 1 ? samples : tf.stack([samples, tf.mul(samples, signs)], 1);
    const common = tf.sub(rows, product(product(rows, directions), directions, { b: true }));
    return { rows: common, coordinates: views.reshape([-1, count]) };
  });
  rows.dispose();
  return noise;
}
