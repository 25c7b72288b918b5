import { Matrix, QrDecomposition } from "ml-matrix";
import type { Rng } from "../core/rng.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { product } from "../nn/product.ts";
import { type Features, mirrorInPlace, viewsOf, widthOf } from "./features.ts";
import type { NoiseSource } from "./masses.ts";
import type { PointSet } from "./point_set.ts";
import type { SharedNoise } from "./soft_assignment.ts";

/** Orthonormal directions along which points spread most, and where the points lie along them. */
export interface Leading {
  /** `[width, directions]`; where points stand for their mirror images too, the first half is even and the second odd. */
  readonly directions: Tensor;
  /** `[directions, chunkSize]`, a chunk of the points each. */
  readonly ofPoints: readonly Tensor[];
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

/** The noise of a step before it meets points: `noiseRows` of a sample a group, and the samples' coordinates. */
export interface GroupedNoise {
  readonly rows: Tensor;
  /** `[samples · views, directions]` */
  readonly coordinates?: Tensor;
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
const iterations = 3;

/**
 * The leading principal directions of the points and their mirror images, by
 * subspace iteration. Labels have no part in them.
 */
export async function leadingDirections(points: PointSet, count: number, rng: Rng): Promise<Leading> {
  const { features, chunks, norms } = points, width = widthOf(features);
  // A little of the identity gives as many directions as were asked for where the points have fewer.
  const ridge = 1e-3 * (norms.reduce((sum, norm) => sum + norm ** 2, 0) || 1) / width;
  let columns = orthonormal(features, Float64Array.from(rng.normal(width * count)), count);
  for (let i = 0; i < iterations; i++) {
    const spread = tf.tidy(() => {
      const placed = place(columns, count);
      return chunks.map((chunk) => product(chunk, product(chunk, placed, { a: true }))).reduce((a, b) => tf.add(a, b));
    });
    const values = await spread.data();
    spread.dispose();
    columns = orthonormal(features, columns.map((value, k) => values[k]! + ridge * value), count);
  }
  const directions = place(columns, count);
  const ofPoints = chunks.map((chunk) => tf.tidy(() => product(directions, chunk, { a: true })));
  return { directions, ofPoints, dispose: () => tf.dispose([directions, ...ofPoints]) };
}

function place(columns: Float64Array, count: number): Tensor {
  return tf.tensor2d(Float32Array.from(columns), [columns.length / count, count]);
}

/** Orthonormal columns for those given, `[width, count]`: the first half made even and the second odd, without labels. */
function orthonormal(features: Features, columns: Float64Array, count: number): Float64Array {
  const { dimension, mirror } = features, images = new Matrix(dimension, count);
  for (let c = 0; c < count; c++) {
    const image = Float64Array.from({ length: dimension }, (_, k) => columns[k * count + c]!);
    const mirrored = image.slice();
    if (mirror) mirrorInPlace(mirrored, mirror[2]);
    const sign = c < count / 2 ? 1 : -1;
    image.forEach((value, k) => images.set(k, c, mirror ? value + sign * mirrored[k]! : value));
  }
  const result = new Float64Array(widthOf(features) * count);
  result.set(new QrDecomposition(images).orthogonalMatrix.to1DArray());
  return result;
}

/** Draws the noise of one step; the caller disposes it. */
export function drawGroups(
  source: NoiseSource,
  features: Features,
  { groups, size, directions }: Grouping,
  rng: Rng,
): GroupedNoise {
  const rows = source(groups, rng);
  if (size === 1) return { rows };
  const normal = rng.fork("leading").normal(groups * size * directions);
  const coordinates = tf.tidy(() => {
    const samples = tf.tensor2d(normal, [groups * size, directions]);
    if (viewsOf(features) === 1) return samples;
    // In the mirror what lies along an odd direction is turned round.
    const signs = tf.tensor1d(Array.from({ length: directions }, (_, c) => c < directions / 2 ? 1 : -1));
    return tf.stack([samples, tf.mul(samples, signs)], 1).reshape([-1, directions]);
  });
  return { rows, coordinates };
}

/**
 * The noise as points with these leading directions see it: x = z − VVᵀz + Vs for each group's z and each sample's s, and so
 * from N(0, I). The caller disposes `rows`.
 */
export function sharedNoise({ rows, coordinates }: GroupedNoise, leading: Leading | undefined): SharedNoise {
  if (!leading || !coordinates) return { rows: rows.clone() };
  const { directions, ofPoints } = leading;
  const common = tf.tidy(() => tf.sub(rows, product(product(rows, directions), directions, { b: true })));
  return { rows: common, varied: { coordinates, ofPoints } };
}
