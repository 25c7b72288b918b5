import type { Rng } from "../core/rng.ts";
import type { Pairs } from "../couplings/types.ts";
import { type Tensor, type Tensors, tf } from "../engine/mod.ts";
import type { VelocityDefinition } from "../models/types.ts";
import type { Parameters } from "../nn/parameters.ts";
import { dropLabels, droppedRows } from "./labels.ts";
import { interpolate, targetVelocity } from "./path.ts";
import { sampleTimes, type TimeOptions } from "./times.ts";

export interface FlowMatchingOptions {
  /** Probability that the student sees ∅ for a label; the coupling saw the true one. */
  readonly labelDropout: number;
  readonly time: TimeOptions;
}

/**
 * The student's loss ‖v(x_t, t, c) − (noise − data)‖² (Eq. 1), as a mean over
 * dimensions and samples where the paper writes a sum over dimensions.
 *
 * @returns a loss for `createTrainer` over batches of `flowMatchingBatch`
 */
export function flowMatchingLoss(student: VelocityDefinition): (parameters: Parameters, batch: Tensors) => Tensor {
  return (parameters, { data, noise, t, labels }) => {
    const velocity = student.velocity(parameters, interpolate(data!, noise!, t!), t!, labels!);
    return meanOfSamples(velocity.sub(targetVelocity(data!, noise!)).square());
  };
}

/** `[size]`: 1 where the batch that `flowMatchingBatch` makes under the same key drops the label. */
export function droppedInBatch(size: number, rng: Rng, { labelDropout }: FlowMatchingOptions): Uint8Array {
  return droppedRows(size, labelDropout, rng.fork("labelDropout"));
}

/**
 * A batch `{data, noise, t, labels}` from drawn pairs, which it takes over:
 * dispose the batch, not the pairs.
 *
 * @param dropping the key that says which labels are dropped (`droppedInBatch`)
 */
export async function flowMatchingBatch(
  pairs: Pairs,
  rng: Rng,
  options: FlowMatchingOptions,
  dropping: Rng = rng,
): Promise<Tensors> {
  const { data, noise, labels } = pairs;
  const own = Int32Array.from(await labels.data<"int32">());
  labels.dispose();
  return {
    data,
    noise,
    t: tf.tensor1d(sampleTimes(options.time, own.length, rng.fork("time"))),
    labels: tf.tensor1d(dropLabels(own, options.labelDropout, dropping.fork("labelDropout")), "int32"),
  };
}

/** The mean over dimensions, then samples: two short float32 sums lose fewer digits than a long one. */
export function meanOfSamples(values: Tensor): Tensor {
  return values.reshape([values.shape[0]!, -1]).mean(1).mean();
}
