import { type Tensor, tf } from "../engine/mod.ts";
import { type Features, mirrorInPlace, viewsOf, widthOf, writeLabel } from "./features.ts";

/** Where points come from, a run of rows at a time. */
export interface PointSource {
  readonly size: number;
  /** Points `start` to `end` − 1, `[end − start, dimension]`. */
  rows(start: number, end: number): Promise<Float32Array>;
  /** `[size]`, read where labels are features. */
  readonly labels?: Int32Array;
  /** `[size]`, not negative; scaled to sum 1. Uniform if not said. */
  readonly weights?: ArrayLike<number>;
}

/** Points that are in memory already, `[size, dimension]`. */
export function pointsInMemory(
  points: Float32Array,
  dimension: number,
  { labels, weights }: Pick<PointSource, "labels" | "weights"> = {},
): PointSource {
  return {
    size: points.length / dimension,
    rows: (start, end) => Promise.resolve(points.slice(start * dimension, end * dimension)),
    ...(labels && { labels }),
    ...(weights && { weights }),
  };
}

/** The points of a discrete measure, centred, in the engine's memory: `4 · size · width` bytes. */
export interface PointSet {
  readonly features: Features;
  readonly size: number;
  /** `[size]`, summing to 1. */
  readonly weights: Float64Array;
  /** `[size]`: the distance of each point from their centre, labels left out. */
  readonly norms: Float64Array;
  /** Points `c · chunkSize` and on, as columns `[width, chunkSize]`; the last chunk is filled up with zeros. */
  readonly chunks: readonly Tensor[];
  readonly chunkSize: number;
  dispose(): void;
}

/** The potential of a point that no noise may be sent to: one of weight 0, or a filler. */
export const nowhere = -1e30;

/**
 * How many of `size` points come in one tensor: about 8192 at most, which bounds the memory of
 * a product with them, and nearly as many in the last tensor as in the others. Never a multiple of 1024,
 * whose lines push each other out of the processor's caches: a product takes up to twice as long.
 */
export function chunkSizeFor(size: number): number {
  const chunks = Math.ceil(size / 8192), even = Math.ceil(size / chunks);
  const whole = chunks === 1 ? even : 16 * Math.ceil(even / 16);
  return whole % 1024 === 0 ? whole + 16 : whole;
}

/**
 * Loads points. They are moved so that their centre (of the mirror images too)
 * is 0: ⟨x, centre⟩ is the same for every point, so this changes neither the
 * assignment nor the potential, and it spares float32 its digits.
 *
 * @param chunkSize points in one tensor, by default `chunkSizeFor` them all
 */
export async function loadPoints(
  source: PointSource,
  features: Features,
  chunkSize = chunkSizeFor(source.size),
): Promise<PointSet> {
  const { size } = source, { dimension } = features;
  const center = await centerOf(source, features, chunkSize);
  const norms = new Float64Array(size);
  const chunks: Tensor[] = [];
  for (let start = 0; start < size; start += chunkSize) {
    const rows = await source.rows(start, Math.min(start + chunkSize, size));
    const columns = new Float32Array(widthOf(features) * chunkSize);
    for (let j = 0; j * dimension < rows.length; j++) {
      const row = new Float32Array(widthOf(features));
      for (let k = 0; k < dimension; k++) row[k] = rows[j * dimension + k]! - center[k]!;
      norms[start + j] = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
      writeLabel(row, features, source.labels?.[start + j]);
      for (let k = 0; k < row.length; k++) columns[k * chunkSize + j] = row[k]!;
    }
    chunks.push(tf.tensor2d(columns, [widthOf(features), chunkSize]));
  }
  const weights = normalized(source.weights ?? new Float64Array(size).fill(1));
  return { features, size, weights, norms, chunks, chunkSize, dispose: () => tf.dispose([...chunks]) };
}

/** A potential `[size]` as tensors `[chunkSize]`, one per chunk; the caller disposes them. */
export function placePotential({ chunkSize, chunks }: PointSet, potential: ArrayLike<number>): Tensor[] {
  return chunks.map((_, c) => {
    const length = Math.min(chunkSize, potential.length - c * chunkSize);
    const values = new Float32Array(chunkSize).fill(nowhere);
    for (let j = 0; j < length; j++) values[j] = potential[c * chunkSize + j]!;
    return tf.tensor1d(values);
  });
}

async function centerOf(source: PointSource, features: Features, chunkSize: number): Promise<Float64Array> {
  const { dimension, mirror } = features, { size } = source;
  const center = new Float64Array(dimension);
  for (let start = 0; start < size; start += chunkSize) {
    const rows = await source.rows(start, Math.min(start + chunkSize, size));
    for (let i = 0; i < rows.length; i++) center[i % dimension]! += rows[i]! / size;
  }
  if (viewsOf(features) === 1) return center;
  const mirrored = center.slice();
  mirrorInPlace(mirrored, mirror![2]);
  return center.map((value, k) => (value + mirrored[k]!) / 2);
}

function normalized(weights: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(weights);
  const total = values.reduce((sum, weight) => sum + weight, 0);
  if (!(total > 0) || values.some((weight) => !(weight >= 0))) {
    throw new RangeError("Cannot weight points: expected weights that are not negative, and not all 0");
  }
  return values.map((weight) => weight / total);
}
