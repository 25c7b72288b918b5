import type { Rng } from "../core/rng.ts";
import { quantise } from "../data/quantise.ts";
import type { Dataset } from "../data/types.ts";
import { tf } from "../engine/mod.ts";
import type { Autoencoder } from "../models/types.ts";
import { sizeOf } from "../nn/parameters.ts";
import { drawPosterior, posteriorNoise } from "../training/autoencoding.ts";
import { extractFeatures, type FeatureNetwork } from "./features.ts";
import { frechetMeasurement, type FrechetReference } from "./frechet.ts";
import type { Measurement } from "./types.ts";

export interface ReconstructionInputs {
  readonly autoencoder: Autoencoder;
  readonly dataset: Dataset;
  readonly features: FeatureNetwork;
  /** The training set under the feature network. */
  readonly reference: FrechetReference;
  readonly batchSize: number;
  /** Row i has the posterior noise of `rng.at(i)`. */
  readonly rng: Rng;
  readonly onProgress?: (done: number) => void;
}

/** What is left of the images of a split on the way through the latents and back. */
export interface Reconstruction {
  /** Root mean squared difference of a pixel, images in [-1, 1], at the 256 grey levels. */
  readonly rms: number;
  /** Peak signal-to-noise ratio 20·log₁₀(2 / rms), dB. */
  readonly psnr: number;
  /** Fréchet distance of the reconstructions: the floor of a model of the latents. */
  readonly frechet: Measurement;
  /** Root mean square of the drawn latents; its inverse scales them to unit size. */
  readonly latentRms: number;
  /** Mean standard deviation of the posterior. */
  readonly posteriorStd: number;
}

/** Encodes a split, draws one latent of each image's posterior, decodes it and compares. Sums in float64. */
export async function measureReconstruction(inputs: ReconstructionInputs): Promise<Reconstruction> {
  const { autoencoder, dataset, features, reference, batchSize, rng, onProgress } = inputs;
  const decoded = new Float32Array(dataset.size * sizeOf(dataset.shape));
  let squaredError = 0, squaredLatents = 0, std = 0, latentCount = 0;
  for (let start = 0; start < dataset.size; start += batchSize) {
    const rows = Int32Array.from({ length: Math.min(batchSize, dataset.size - start) }, (_, i) => start + i);
    const { data } = await dataset.gather(rows);
    const images = tf.tensor(data, [rows.length, ...dataset.shape]);
    const { mean, logVariance } = autoencoder.encode(images);
    const noise = posteriorNoise(rows, mean.shape.slice(1), rng);
    const latents = tf.tidy(() => drawPosterior(mean, logVariance, noise));
    const output = autoencoder.decode(latents);
    const [values, drawn, logVariances] = await Promise.all(
      [output, latents, logVariance].map((tensor) => tensor.data<"float32">()),
    ) as [Float32Array, Float32Array, Float32Array];
    tf.dispose([images, mean, logVariance, noise, latents, output]);
    const seen = quantise(values);
    decoded.set(seen, start * sizeOf(dataset.shape));
    for (let i = 0; i < seen.length; i++) squaredError += (seen[i]! - data[i]!) ** 2;
    for (let i = 0; i < drawn.length; i++) {
      squaredLatents += drawn[i]! ** 2;
      std += Math.exp(logVariances[i]! / 2);
    }
    latentCount += drawn.length;
    onProgress?.(start + rows.length);
  }
  const rms = Math.sqrt(squaredError / decoded.length);
  return {
    rms,
    psnr: 20 * Math.log10(2 / rms),
    frechet: frechetMeasurement(await extractFeatures(features, decoded), reference),
    latentRms: Math.sqrt(squaredLatents / latentCount),
    posteriorStd: std / latentCount,
  };
}
