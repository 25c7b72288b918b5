import type { Rng } from "../core/rng.ts";
import { addNoise } from "../data/add_noise.ts";
import type { Batch } from "../data/types.ts";
import { type Tensor, type Tensors, tf } from "../engine/mod.ts";
import type { FlowDefinition } from "../models/types.ts";
import type { Parameters } from "../nn/parameters.ts";
import { meanOfSamples } from "./flow_matching.ts";
import { dropLabels } from "./labels.ts";

export interface MaxLikelihoodOptions {
  /** η of paper §2.2: std of the Gaussian noise added to the data. */
  readonly noiseStd: number;
  /** Probability that the flow sees ∅ for a label. */
  readonly labelDropout: number;
}

/**
 * The teacher's loss ½‖z‖² − log|det ∂z/∂x| (Eq. 3) per dimension: nats without
 * ½·log 2π. Under noise of std η it cannot go below 0.5 + ln η.
 *
 * @returns a loss for `createTrainer` over batches of `maxLikelihoodBatch`
 */
export function maxLikelihoodLoss(flow: FlowDefinition): (parameters: Parameters, batch: Tensors) => Tensor {
  return (parameters, { data, labels }) => {
    const { noise, logDeterminant } = flow.encode(parameters, data!, labels!);
    const dimensions = data!.size / data!.shape[0]!;
    return meanOfSamples(noise.square()).mul(0.5).sub(logDeterminant.mean().div(dimensions));
  };
}

/**
 * A batch `{data, labels}` with the noise added: x′ = x + ηε′ (§2.2).
 *
 * @param shape `[channels, height, width]` of the images
 */
export function maxLikelihoodBatch(
  images: Batch,
  shape: readonly [number, number, number],
  rng: Rng,
  { noiseStd, labelDropout }: MaxLikelihoodOptions,
): Tensors {
  return {
    data: tf.tensor4d(addNoise(images.data, noiseStd, rng.fork("noise")), [images.labels.length, ...shape]),
    labels: tf.tensor1d(dropLabels(images.labels, labelDropout, rng.fork("labelDropout")), "int32"),
  };
}
