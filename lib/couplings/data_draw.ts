import type { Rng } from "../core/rng.ts";
import type { Batch, Dataset } from "../data/types.ts";
import { type Tensor, tf } from "../engine/mod.ts";

/** Uniform draws from a dataset, with replacement. */
export interface DataDraw {
  /** `[batch]`: rows of the dataset. */
  readonly index: Int32Array;
  /** `[batch]`: 1 where the image is mirrored; absent without flips. */
  readonly mirrored?: Uint8Array;
  /** The images at `index`, mirrored where a coin said so. */
  readonly batch: Batch;
}

/**
 * Draws `size` images. Couplings that draw data first draw it here, so that
 * two of them under one key show the student the same images.
 */
export async function drawData(dataset: Dataset, size: number, rng: Rng, flips: boolean): Promise<DataDraw> {
  const index = rng.fork("index").integers(size, dataset.size);
  const mirrored = flips ? Uint8Array.from(rng.fork("flip").integers(size, 2)) : undefined;
  return { index, ...(mirrored && { mirrored }), batch: await dataset.gather(index, mirrored) };
}

/** Rows of the dataset's dimension as a tensor `[batch, channels, height, width]`. */
export function imageTensor(rows: Float32Array, { shape }: Dataset): Tensor {
  return tf.tensor4d(rows, [rows.length / dimensionOf(shape), ...shape]);
}

/** Labels as an int32 tensor `[batch]`. */
export function labelTensor(labels: Int32Array): Tensor {
  return tf.tensor1d(labels, "int32");
}

/** The number of values in one image. */
export function dimensionOf([channels, height, width]: readonly [number, number, number]): number {
  return channels * height * width;
}
