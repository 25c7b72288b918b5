import * as z from "zod";
import { Problem } from "../core/problem.ts";
import { createRng, type Rng } from "../core/rng.ts";
import type { Dataset } from "../data/types.ts";
import { type Tensor, type Tensors, tf } from "../engine/mod.ts";
import { initialize, type Parameters } from "../nn/parameters.ts";
import { averagePath, trainLoop, type TrainLoopOptions } from "../training/loop.ts";
import { defaultOptimizer } from "../training/optimizer.ts";
import { createSchedule } from "../training/schedule.ts";
import { createTrainer } from "../training/trainer.ts";
import { readWeights } from "../training/weights.ts";
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

/** What makes a feature network: the dataset as a recipe names it, the seed and the training. */
export interface FeatureRecipe {
  readonly data: { readonly kind: string; readonly [option: string]: unknown };
  readonly seed: number;
  readonly training: FeatureTraining;
}

/** Where a training is kept, and who hears of it: of its losses, cross-entropy in nats. */
export type FeatureTrainingRun = Pick<TrainLoopOptions, "folder" | "identity" | "signal" | "onStep">;

const batchOf = (size: number, { batchSize }: FeatureTraining): number => Math.min(batchSize, size);

/** Optimizer steps of a training on `size` images. */
export function trainingSteps(size: number, options: FeatureTraining): number {
  return options.epochs * Math.floor(size / batchOf(size, options));
}

/**
 * Trains a network to tell the classes of `dataset`, by cross-entropy, from the newest checkpoint or from the start.
 * The same recipe gives the same network on the same engine and machine, however often it was stopped;
 * `trainedFeatureNetwork` reads it.
 *
 * @throws {Problem} on the embedded engine, which lacks the gradient of a convolution's filter; and as `trainLoop`
 */
export async function trainFeatureNetwork(
  dataset: Dataset,
  { seed, training }: Omit<FeatureRecipe, "data">,
  run: FeatureTrainingRun,
): Promise<void> {
  if (tf.getBackend() === "wasm") {
    throw new Problem(
      `Cannot train a feature network for ${dataset.name} on the wasm engine, which has no gradient of convolutions: ` +
        "use --engine native, or one of the trained networks under results/features",
    );
  }
  const rng = createRng(seed).fork("features");
  const steps = trainingSteps(dataset.size, training);
  const specs = featureParameters(dataset.shape, dataset.classes);
  const { learningRate, weightDecay, emaDecay } = training;
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
    await trainLoop({
      trainer,
      batch: batchesOf(dataset, training, rng.fork("order")),
      steps,
      saveEverySeconds: 60,
      keepAverageAt: [steps],
      ...run,
    });
  } finally {
    trainer.dispose();
  }
}

/**
 * The network that `trainFeatureNetwork` left in `folder`.
 *
 * @throws {Problem} if it is missing or damaged
 */
export async function trainedFeatureNetwork(
  folder: string,
  { shape, classes, size }: Dataset,
  training: FeatureTraining,
): Promise<Classifier> {
  const path = averagePath(folder, trainingSteps(size, training));
  return createClassifier(shape, classes, (await readWeights(path, featureParameters(shape, classes))).flat);
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

/** Every epoch goes through the images once, in an order of its own; those that fill no batch are left out. */
function batchesOf(dataset: Dataset, training: FeatureTraining, rng: Rng): (step: number) => Promise<Tensors> {
  const batchSize = batchOf(dataset.size, training), perEpoch = Math.floor(dataset.size / batchSize);
  let shuffled: { readonly epoch: number; readonly order: Int32Array } = { epoch: -1, order: new Int32Array() };
  return async (step) => {
    const epoch = Math.floor(step / perEpoch), k = step % perEpoch;
    if (shuffled.epoch !== epoch) shuffled = { epoch, order: rng.at(epoch).permutation(dataset.size) };
    return await readBatch(dataset, shuffled.order.subarray(k * batchSize, (k + 1) * batchSize));
  };
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
