import { join } from "node:path";
import { writeFileAtomic } from "../core/files.ts";
import { createRng } from "../core/rng.ts";
import { progress } from "../core/terminal.ts";
import type { Coupling } from "../couplings/types.ts";
import { quantise } from "../data/quantise.ts";
import type { Dataset } from "../data/types.ts";
import { tf } from "../engine/mod.ts";
import { encodeSplit } from "../metrics/encode.ts";
import { extractFeatures } from "../metrics/features.ts";
import { frechetMeasurement } from "../metrics/frechet.ts";
import { likelihood } from "../metrics/likelihood.ts";
import { priorMismatch } from "../metrics/prior_mismatch.ts";
import type { Measurement } from "../metrics/types.ts";
import type { NormalizingFlow } from "../models/types.ts";
import { sizeOf } from "../nn/parameters.ts";
import type { EvaluationRecipe, TeacherRecipe } from "../recipes/types.ts";
import { figureKey } from "../results/figures.ts";
import { drawSamples } from "../sampling/draw.ts";
import { teacherSource } from "../sampling/teacher.ts";
import type { HeldOut } from "./evaluate.ts";
import type { Workbench } from "./workbench.ts";

/** Images at a time for the teacher: its denoising step keeps every layer's activations (batch 250 takes 3.7 GB). */
const teacherBatch = 64;

/** What is known of a teacher apart from its students, as `evaluation.json` of its stage. */
export async function reportTeacher(
  bench: Workbench,
  flow: NormalizingFlow,
  recipe: TeacherRecipe,
  evaluation: EvaluationRecipe,
  options: { toNoise: NonNullable<Coupling["toNoise"]>; folder: string; row: string; signal: AbortSignal },
): Promise<void> {
  const figures: Record<string, Measurement> = {};
  const put = (metric: string, figure: Measurement) => figures[figureKey({ row: options.row, metric })] = figure;
  const { noiseStd } = recipe;
  const rng = createRng(0).fork("teacherReport");
  for (const [name, dataset] of [["nll", bench.train], ["nllTest", bench.test]] as const) {
    const count = Math.min(evaluation.images, dataset.size);
    const bar = progress(`teacher, ${name}`, count, "images");
    const { nll, bitsPerDim } = await likelihood({
      flow,
      dataset,
      noiseStd,
      batchSize: teacherBatch,
      rng: rng.fork(name),
      limit: count,
      onProgress: (done) => (options.signal.throwIfAborted(), bar.update(done)),
    });
    bar.stop();
    put(name, nll);
    if (name === "nllTest") put("bitsPerDim", bitsPerDim);
  }
  const { noise, labels } = await heldOutNoise(flow, bench.test, noiseStd, options.toNoise, evaluation.images);
  const dims = noise.length / labels.length;
  for (const [name, figure] of Object.entries(priorMismatch({ z: noise, labels, dims }))) put(name, figure);
  put("frechet", await teacherDistance(bench, flow, noiseStd, evaluation, options.signal));
  await writeFileAtomic(join(options.folder, "evaluation.json"), JSON.stringify({ figures, searches: {} }, null, 1));
}

/** z of held-out images, `[count, …shape]`: what the student would have to be fed. */
export async function heldOutNoise(
  flow: NormalizingFlow,
  dataset: Dataset,
  noiseStd: number,
  toNoise: NonNullable<Coupling["toNoise"]>,
  count: number,
): Promise<HeldOut> {
  const rows = Math.min(count, dataset.size), dims = sizeOf(dataset.shape);
  const z = new Float32Array(rows * dims), labels = new Int32Array(rows);
  let row = 0;
  const inputs = { flow, dataset, noiseStd, batchSize: teacherBatch, rng: createRng(0).fork("heldOut"), limit: rows };
  for await (const encoded of encodeSplit(inputs)) {
    labels.set(encoded.labels, row);
    const own = tf.tidy(() =>
      toNoise(tf.tensor(encoded.noise, [encoded.labels.length, ...dataset.shape]), tf.tensor1d(encoded.labels, "int32"))
    );
    z.set(await own.data<"float32">(), row * dims);
    own.dispose();
    row += encoded.labels.length;
  }
  return { noise: z, labels };
}

/** The teacher's own samples, its training noise removed, unguided. */
async function teacherDistance(
  bench: Workbench,
  flow: NormalizingFlow,
  noiseStd: number,
  { samples }: EvaluationRecipe,
  signal: AbortSignal,
): Promise<Measurement> {
  const bar = progress("teacher, decoding", samples, "samples");
  const { data } = await drawSamples({
    source: teacherSource(flow, { noiseStd }),
    count: samples,
    batchSize: teacherBatch,
    shape: bench.train.shape,
    classes: bench.train.classes,
    rng: createRng(0).fork("teacherSamples"),
    onProgress: (done) => (signal.throwIfAborted(), bar.update(done)),
  });
  bar.stop();
  const { features } = await extractFeatures(bench.features, quantise(data));
  return frechetMeasurement(features, bench.reference, { allowFewSamples: true });
}
