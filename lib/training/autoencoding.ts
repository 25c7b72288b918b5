import type { Rng } from "../core/rng.ts";
import type { Batch } from "../data/types.ts";
import { type Tensor, type Tensors, tf } from "../engine/mod.ts";
import type { AutoencoderDefinition } from "../models/types.ts";
import { type Parameters, sizeOf } from "../nn/parameters.ts";
import { meanOfSamples } from "./flow_matching.ts";

/**
 * The autoencoder's loss (Kingma & Welling 2014; its weight as in Rombach et
 * al. 2022): the squared error of the reconstruction from a draw of the
 * posterior, a mean over pixels, plus `klWeight` times KL(posterior ‖ N(0, I)),
 * a mean over the dimensions of the latents, in nats.
 *
 * @returns a loss for `createTrainer` over batches of `autoencodingBatch`
 */
export function autoencodingLoss(
  autoencoder: AutoencoderDefinition,
  { klWeight }: { readonly klWeight: number },
): (parameters: Parameters, batch: Tensors) => Tensor {
  return (parameters, { images, noise }) => {
    const { mean, logVariance } = autoencoder.encode(parameters, images!);
    const decoded = autoencoder.decode(parameters, drawPosterior(mean, logVariance, noise!));
    const error = meanOfSamples(tf.square(tf.sub(decoded, images!)));
    const divergence = meanOfSamples(
      mean.square().add(logVariance.exp()).sub(logVariance).sub(1).mul(0.5),
    );
    return error.add(divergence.mul(klWeight));
  };
}

/** mean + std·noise, all of one shape. */
export function drawPosterior(mean: Tensor, logVariance: Tensor, noise: Tensor): Tensor {
  return mean.add(logVariance.mul(0.5).exp().mul(noise));
}

/** Standard normal noise `[rows, …latentShape]`, row by row from `rng.at(row)`. The caller disposes it. */
export function posteriorNoise(rows: Int32Array, latentShape: readonly number[], rng: Rng): Tensor {
  const dims = sizeOf(latentShape), noise = new Float32Array(rows.length * dims);
  rows.forEach((row, i) => noise.set(rng.at(row).normal(dims), i * dims));
  return tf.tensor(noise, [rows.length, ...latentShape]);
}

/**
 * A batch `{images, noise}`; the noise is that of the posterior.
 *
 * @param shape `[channels, height, width]` of the images
 */
export function autoencodingBatch(
  { data, labels }: Batch,
  shape: readonly [number, number, number],
  latentShape: readonly [number, number, number],
  rng: Rng,
): Tensors {
  const noise = rng.fork("noise").normal(labels.length * sizeOf(latentShape));
  return {
    images: tf.tensor4d(data, [labels.length, ...shape]),
    noise: tf.tensor4d(noise, [labels.length, ...latentShape]),
  };
}
