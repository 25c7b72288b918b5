/** In a process of its own, whose memory nothing else has used: prints what a training step was counted to take and took. */
import { createRng } from "../../lib/core/rng.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import { sit } from "../../lib/models/sit.ts";
import { initialize } from "../../lib/nn/parameters.ts";
import { defaultOptimizer as optimizer } from "../../lib/training/optimizer.ts";
import { stepCost, studentTrainee } from "../../lib/training/step_cost.ts";
import { createTrainer } from "../../lib/training/trainer.ts";

await openEngine("native");
const shape = [3, 64, 64] as const,
  batch = 32,
  microBatches = Number(Deno.args[0]),
  recompute = Deno.args[1] === "recompute";
const trainee = studentTrainee(sit({ patch: 4, width: 128, depth: 8, heads: 2, recompute }, shape, 10), shape);
const { peakBytes } = await stepCost(trainee, { batch, microBatches, optimizer });
const initial = initialize(trainee.specs, createRng(0));
const trainer = createTrainer({ name: "student", ...trainee, initial, optimizer, microBatches, schedule: () => 1e-3 });
const tensors = Object.fromEntries(
  Object.entries(trainee.batchOf(batch)).map((
    [name, { shape, dtype = "float32" }],
  ) => [name, tf.zeros([...shape], dtype)]),
);
const before = await residentBytes("VmRSS");
for (let step = 0; step < 2; step++) await trainer.train(tensors);
console.log(JSON.stringify({ counted: peakBytes, added: await residentBytes("VmHWM") - before }));
Deno.exit(0); // an engine stays open

/** The resident memory of this process, now or at its highest. */
async function residentBytes(field: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await Deno.readTextFile("/proc/self/status");
  return 1024 * Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)![1]);
}
