import { type Tensor, tf } from "../engine/mod.ts";

/**
 * What a noise sample and a point are compared by. The cost between noise x
 * with label c′ and point y with label c is −⟨x, y⟩ + β·1[c ≠ c′]; up to a
 * constant that is minus the inner product of [x, √β·onehot(c′)] and
 * [y, √β·onehot(c)], so labels are features like any other.
 */
export interface Features {
  /** Values of one noise sample or point, without its label. */
  readonly dimension: number;
  /**
   * `[channels, height, width]` where every point stands for its left-right
   * mirror image too. N(0, I) looks the same in the mirror, so both share one
   * dual potential and ⟨x, mirror(y)⟩ = ⟨mirror(x), y⟩: the noise is shown
   * twice instead of the points being stored twice.
   */
  readonly mirror?: readonly [number, number, number] | undefined;
  /** Labels with a finite cost β. */
  readonly label?: { readonly classes: number; readonly cost: number } | undefined;
}

/** The number of ways in which one noise sample is compared with every point: as it is and, perhaps, mirrored. */
export function viewsOf({ mirror }: Features): number {
  return mirror ? 2 : 1;
}

/** The length of a feature row. */
export function widthOf({ dimension, label }: Features): number {
  return dimension + (label?.classes ?? 0);
}

/**
 * Noise as feature rows `[padded · views, width]`: each sample as it is, then
 * mirrored; filled up with zeros to `padded` samples.
 *
 * @param noise `[count, dimension]`
 * @param labels `[count]`, read where labels are features
 */
export function noiseRows(features: Features, noise: Float32Array, labels?: Int32Array, padded?: number): Tensor {
  const { dimension, mirror } = features, width = widthOf(features), views = viewsOf(features);
  const count = noise.length / dimension, height = padded ?? count;
  const rows = new Float32Array(height * views * width);
  for (let i = 0; i < count; i++) {
    const sample = noise.subarray(i * dimension, (i + 1) * dimension);
    for (let view = 0; view < views; view++) {
      const row = rows.subarray((i * views + view) * width, (i * views + view + 1) * width);
      row.set(sample);
      if (view === 1) mirrorInPlace(row.subarray(0, dimension), mirror![2]);
      writeLabel(row, features, labels?.[i]);
    }
  }
  return tf.tensor2d(rows, [height * views, width]);
}

/** Writes √β·onehot(label) behind the image values of a feature row. */
export function writeLabel(row: Float32Array, { dimension, label }: Features, value: number | undefined): void {
  if (!label) return;
  if (value === undefined) throw new Error("Labels are features here, and a row came without one");
  row[dimension + value] = Math.sqrt(label.cost);
}

/** Reverses every line of `width` values. */
export function mirrorInPlace(image: Float32Array | Float64Array, width: number): void {
  for (let line = 0; line < image.length; line += width) image.subarray(line, line + width).reverse();
}
