import { createRng } from "../../lib/core/rng.ts";
import { type Tensors, tf } from "../../lib/engine/mod.ts";
import { initialize, type ParameterSpec } from "../../lib/nn/parameters.ts";
import { trainLoop, type TrainLoopOptions } from "../../lib/training/loop.ts";
import { defaultOptimizer } from "../../lib/training/optimizer.ts";
import { createSchedule } from "../../lib/training/schedule.ts";
import { createTrainer, type Trainer } from "../../lib/training/trainer.ts";

/** A small regression that is trained, stopped, killed and resumed by the tests of the loop. */
const specs: ParameterSpec[] = [
  { name: "hidden.weight", shape: [3, 16], init: { kind: "normal", std: 0.5 } },
  { name: "hidden.bias", shape: [16], init: { kind: "zeros" } },
  { name: "out.weight", shape: [16, 1], init: { kind: "normal", std: 0.5 } },
];
const rng = createRng(31);

export function tinyTrainer(steps: number, callSteps = 1): Trainer {
  return createTrainer({
    name: "tiny model",
    specs,
    callSteps,
    initial: initialize(specs, rng.fork("initial")),
    loss: (p, { x, y }) =>
      x!.matMul(p["hidden.weight"]!).add(p["hidden.bias"]!).tanh().matMul(p["out.weight"]!).sub(y!).square().mean(),
    optimizer: { ...defaultOptimizer, weightDecay: 0.01, clipNorm: 1, emaDecay: 0.9 },
    schedule: createSchedule({ kind: "cosine", learningRate: 0.02, warmupSteps: 3, floor: 1e-4, steps }),
  });
}

export function tinyBatch(step: number): Promise<Tensors> {
  const x = rng.fork("x").at(step).normal(24);
  const y = Float32Array.from({ length: 8 }, (_, i) => Math.tanh(x[3 * i]!) - x[3 * i + 1]! * x[3 * i + 2]!);
  return Promise.resolve({ x: tf.tensor2d(x, [8, 3]), y: tf.tensor2d(y, [8, 1]) });
}

/** Trains in `folder`, saving at every step. */
export async function tinyRun(folder: string, steps: number, changes: Partial<TrainLoopOptions> = {}) {
  const trainer = changes.trainer ?? tinyTrainer(steps);
  try {
    return await trainLoop({
      batch: tinyBatch,
      steps,
      folder,
      identity: { recipe: "r1" },
      saveEverySeconds: 0,
      ...changes,
      trainer,
    });
  } finally {
    trainer.dispose();
  }
}

/** Everything that a run left behind: file names and contents. */
export async function leftBehind(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const sub of ["", "checkpoints/"]) {
    for await (const { name, isFile } of Deno.readDir(`${folder}/${sub}`)) {
      if (isFile) files[sub + name] = (await Deno.readFile(`${folder}/${sub}${name}`)).toHex();
    }
  }
  return files;
}
