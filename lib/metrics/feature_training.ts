import * as z from "zod";
import { Problem } from "../core/problem.ts";
import type { Rng } from "../core/rng.ts";
import type { Dataset } from "../data/types.ts";
import { type Tensor, type Tensors, tf } from "../engine/mod.ts";
import { initialize, type Parameters } from "../nn/parameters.ts";
import { defaultOptimizer } from "../training/optimizer.ts";
import { createSchedule } from "../training/schedule.ts";
import { createTrainer } from "../training/trainer.ts";
import { type Classifier, createClassifier, featureForward, featureParameters } from "./classifier.ts";

/** How a feature network is trained: AdamW, a short warm-up, then a cosine to zero; the average of the weights is kept. */
export const featureTraining = z.strictObject({
  epochs: z.int().min(1).default(5),
  batchSize: z.int().min(1).default(64),
  learningRate: z.number().positive().default(2e-3),
  weightDecay: z.number().min(0).default(1e-2),
  emaDecay: z.number().min(0).max(1).default(0.995),
});
export type FeatureTraining = z.output<typeof featureTraining>;

/** How far a training is. */
export interface TrainingProgress {
  /** Optimizer steps done, of `steps`. */
  readonly step: number;
  readonly steps: number;
  /** Cross-entropy of this step's batch, nats. */
  readonly loss: number;
}

const batchOf = (size: number, { batchSize }: FeatureTraining): number => Math.min(batchSize, size);

/** Optimizer steps of a training on `size` images. */
export function trainingSteps(size: number, options: FeatureTraining): number {
  return options.epochs * Math.floor(size / batchOf(size, options));
}

/**
 * Trains a network to tell the classes of `dataset`, by cross-entropy. The
 * same key gives the same network on the same engine and machine.
 *
 * @throws {Problem} on the embedded engine, which lacks the gradient of a convolution's filter
 */
export async function trainFeatureNetwork(
  dataset: Dataset,
  options: FeatureTraining,
  rng: Rng,
  onProgress: (progress: TrainingProgress) => void = () => {},
): Promise<Classifier> {
  if (tf.getBackend() === "wasm") {
    throw new Problem(
      `Cannot train a feature network for ${dataset.name} on the wasm engine, which has no gradient of convolutions: ` +
        "use --engine native, or one of the trained networks under results/features",
    );
  }
  const { shape, classes } = dataset;
  const batchSize = batchOf(dataset.size, options), steps = trainingSteps(dataset.size, options);
  const specs = featureParameters(shape, classes);
  const { learningRate, weightDecay, emaDecay } = options;
  const trainer = createTrainer({
    name: `features ${dataset.name}`,
    specs,
    initial: initialize(specs, rng.fork("parameters")),
    loss: crossEntropy,
    optimizer: { ...defaultOptimizer, weightDecay, emaDecay, emaWarmup: true },
    schedule: createSchedule({
      kind: "cosine",
      learningRate,
      warmupSteps: Math.min(100, Math.floor(steps / 10)),
      floor: 0,
      steps,
    }),
  });
  try {
    for (let epoch = 0; epoch < options.epochs; epoch++) {
      const order = rng.fork("order").at(epoch).permutation(dataset.size);
      for (let k = 0; k < steps / options.epochs; k++) {
        const batch = await readBatch(dataset, order.subarray(k * batchSize, (k + 1) * batchSize));
        const { loss } = await trainer.train(batch);
        tf.dispose({ ...batch });
        onProgress({ step: trainer.step, steps, loss });
      }
    }
    return createClassifier(shape, classes, await trainer.ema().data<"float32">());
  } finally {
    trainer.dispose();
  }
}

/**
 * Share of the images of `dataset` whose class the network tells.
 *
 * @param predicted what `classify` said of the dataset, `[size]`
 */
export function accuracyOf(dataset: Dataset, predicted: Int32Array): number {
  return predicted.reduce((right, label, i) => right + (label === dataset.labels[i] ? 1 : 0), 0) / dataset.size;
}

/** −log p(label), mean over the batch; labels one-hot, as a gather has no gradient everywhere. */
function crossEntropy(parameters: Parameters, { data, targets }: Tensors): Tensor {
  const { logits } = featureForward(parameters, data!);
  return tf.logSoftmax(logits).mul(targets!).sum(1).mean().neg();
}

async function readBatch(dataset: Dataset, rows: Int32Array): Promise<Tensors> {
  const { data, labels } = await dataset.gather(rows);
  const targets = new Float32Array(rows.length * dataset.classes);
  labels.forEach((label, i) => targets[i * dataset.classes + label] = 1);
  return {
    data: tf.tensor(data, [rows.length, ...dataset.shape], "float32"),
    targets: tf.tensor(targets, [rows.length, dataset.classes], "float32"),
  };
}
