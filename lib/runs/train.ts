import { withProgress } from "../core/terminal.ts";
import type { Rng } from "../core/rng.ts";
import type { Tensor, Tensors } from "../engine/mod.ts";
import { initialize, type Parameters, type ParameterSpec } from "../nn/parameters.ts";
import type { TrainingRecipe } from "../recipes/types.ts";
import { callStepsOf, createTrainer } from "../training/trainer.ts";
import { createSchedule } from "../training/schedule.ts";
import { averagePath, trainLoop } from "../training/loop.ts";
import { stepsFor } from "../training/steps.ts";

/** One training run: what to train, on what, and where it is kept. */
export interface TrainingRun {
  /** For the progress bar and errors: `teacher`, `student NFM, seed 1`. */
  readonly label: string;
  readonly specs: readonly ParameterSpec[];
  readonly loss: (parameters: Parameters, batch: Tensors) => Tensor;
  readonly batch: (step: number) => Promise<Tensors>;
  readonly training: Omit<TrainingRecipe, "labelDropout">;
  /** See `TrainerOptions`. */
  readonly compile?: boolean;
  readonly rng: Rng;
  /** The stage's folder: checkpoints, kept averages and the log of losses. */
  readonly folder: string;
  /** What a checkpoint must agree in to be resumed from. */
  readonly identity: Readonly<Record<string, string>>;
  /** Samples seen at which the moving average is kept for good. */
  readonly keepAt: readonly number[];
  readonly signal: AbortSignal;
}

/** Where the average kept at `samples` lies (see `readWeights`). */
export function keptAverage(folder: string, samples: number, batch: number): string {
  return averagePath(folder, stepsFor(samples, batch));
}

/** Rows of the dataset for a step: every epoch goes through all of them once, in an order of its own. */
export function epochRows(size: number, batch: number, step: number, rng: Rng): Int32Array {
  return Int32Array.from({ length: batch }, (_, i) => {
    const position = step * batch + i;
    return orderOf(Math.floor(position / size), size, rng)[position % size]!;
  });
}

// The last two epochs' orders are kept: a batch can straddle them.
const orders = new Map<string, Int32Array>();
function orderOf(epoch: number, size: number, rng: Rng): Int32Array {
  const key = `${epoch} ${size} ${rng.at(0).bits(1)[0]}`;
  let order = orders.get(key);
  if (!order) {
    if (orders.size >= 2) orders.delete(orders.keys().next().value!);
    orders.set(key, order = rng.at(epoch).permutation(size));
  }
  return order;
}

/** Trains from the newest checkpoint, or from the start, to the end of the recipe. */
export async function train(run: TrainingRun): Promise<void> {
  const { training, specs, folder, signal } = run;
  const trainer = createTrainer({
    name: run.label,
    specs,
    initial: initialize(specs, run.rng.fork("initialize")),
    loss: run.loss,
    optimizer: optimizerOf(training),
    schedule: scheduleOf(training),
    microBatches: training.microBatches,
    callSteps: callStepsOf(specs, training.microBatches),
    compile: run.compile ?? false,
    ...(training.products && { products: training.products }),
  });
  const { samples, batch } = training;
  try {
    // The loop hears the signal itself: it saves first.
    await withProgress(run.label, samples, "samples", (onProgress) =>
      trainLoop({
        trainer,
        batch: run.batch,
        steps: stepsFor(samples, batch),
        folder,
        identity: run.identity,
        saveEverySeconds: 60,
        keepAverageAt: run.keepAt.map((at) => stepsFor(at, batch)),
        signal,
        onStep: ({ step, loss }) => onProgress(Math.min(step * batch, samples), `loss ${loss.toFixed(4)}`),
      }));
  } finally {
    trainer.dispose();
  }
}

/** How `createTrainer` is to update, as the recipe says it. */
export function optimizerOf({ betas, weightDecay, clipNorm, emaDecay, emaWarmup }: TrainingRun["training"]) {
  const [beta1, beta2] = betas;
  return { beta1, beta2, epsilon: 1e-8, weightDecay, emaDecay, emaWarmup, ...(clipNorm > 0 && { clipNorm }) };
}

function scheduleOf({ schedule, learningRate, warmupSteps, finalRate, samples, batch }: TrainingRun["training"]) {
  const steps = stepsFor(samples, batch);
  // A short look (--limit) may be shorter than the warm-up.
  return createSchedule({
    kind: schedule,
    learningRate,
    warmupSteps: Math.min(warmupSteps, steps),
    floor: Math.min(finalRate, learningRate),
    steps,
  });
}
