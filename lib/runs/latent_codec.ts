import { createRng, type Rng } from "../core/rng.ts";
import type { Dataset } from "../data/types.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import type { Autoencoder } from "../models/types.ts";
import { sizeOf } from "../nn/parameters.ts";
import { drawPosterior, posteriorNoise } from "../training/autoencoding.ts";

/** An autoencoder between images and scaled latents. */
export interface Codec {
  readonly open: () => Promise<Autoencoder>;
  readonly scale: number;
  /** `[channels, height, width]` of the latents. */
  readonly shape: readonly [number, number, number];
}

/** The noise of a split's posteriors; each orientation has its own. */
export const posteriorRng = (split: string, orientation: string): Rng =>
  createRng(0).fork("posterior").fork(split).fork(orientation);

/** scale · (mean + std · noise) of images `[rows, …imageShape]`; row i has the noise of `rng.at(rows[i])`. */
export async function encodeAll(
  images: Float32Array,
  rows: Int32Array,
  imageShape: Dataset["shape"],
  { open, scale, shape }: Codec,
  rng: Rng,
): Promise<Float32Array> {
  const autoencoder = await open();
  return await inChunks(images, imageShape, chunkOf(imageShape), sizeOf(shape), (batch, start) => {
    const { mean, logVariance } = autoencoder.encode(batch);
    const noise = posteriorNoise(rows.subarray(start, start + batch.shape[0]!), shape, rng);
    return drawPosterior(mean, logVariance, noise).mul(scale);
  });
}

/** Images of scaled latents. */
export async function decodeAll(
  latents: Float32Array,
  { open, scale, shape }: Codec,
  imageShape: Dataset["shape"],
): Promise<Float32Array> {
  const autoencoder = await open();
  return await inChunks(latents, shape, chunkOf(imageShape), sizeOf(imageShape), (batch) => {
    return autoencoder.decode(batch.div(scale));
  });
}

/** Images at a time: a wide layer of a large image takes tens of megabytes. */
const chunkOf = ([, height, width]: Dataset["shape"]) =>
  Math.max(1, Math.min(256, Math.floor(2 ** 18 / (height * width))));

/** `map` of rows, `[count, …shape]`, some at a time; `dims` values come of each. */
async function inChunks(
  rows: Float32Array,
  shape: Dataset["shape"],
  chunk: number,
  dims: number,
  map: (batch: Tensor, start: number) => Tensor,
): Promise<Float32Array> {
  const size = sizeOf(shape), count = rows.length / size;
  const mapped = new Float32Array(count * dims);
  for (let start = 0; start < count; start += chunk) {
    const end = Math.min(start + chunk, count);
    const output = tf.tidy(() => map(tf.tensor(rows.slice(start * size, end * size), [end - start, ...shape]), start));
    mapped.set(await output.data<"float32">(), start * dims);
    output.dispose();
  }
  return mapped;
}
