import { createRng } from "../core/rng.ts";
import { withProgress } from "../core/terminal.ts";
import { likelihood } from "../metrics/likelihood.ts";
import type { Measurement } from "../metrics/types.ts";
import { zDistances } from "../metrics/z_distance.ts";
import { sigmaOf, teacherBatch, type TeacherInputs } from "./teacher_inputs.ts";

/**
 * How likely both splits are to the teacher (paper §2.2), or as much of them as
 * the recipe looks at; of latents without bits, which count the grey levels of pixels.
 */
export async function likelihoods(inputs: TeacherInputs): Promise<Record<string, Measurement>> {
  const { bench, flow, noiseStd, evaluation, label } = inputs;
  const figures: Record<string, Measurement> = {};
  const rng = createRng(0).fork("teacherReport");
  for (const [name, dataset] of [["nll", bench.train], ["nllTest", bench.test]] as const) {
    const count = Math.min(evaluation.images, dataset.size);
    const of = { flow, dataset, noiseStd, batchSize: teacherBatch, rng: rng.fork(name), limit: count };
    const { nll, bitsPerDim } = await withProgress(
      `${label}, ${name}`,
      count,
      "images",
      (onProgress) => likelihood({ ...of, onProgress }),
      inputs.signal,
    );
    figures[name] = nll;
    if (name === "nllTest" && dataset === bench.images.test) figures["bitsPerDim"] = bitsPerDim;
  }
  return figures;
}

/** Distances of codes, paper §3.3, on the training set, or as much of it as the recipe looks at. */
export async function distancesOfCodes(inputs: TeacherInputs): Promise<Record<string, Measurement>> {
  const { bench: { train }, flow, noiseStd, evaluation } = inputs;
  const sigma = sigmaOf(inputs, "distances in z-space");
  const pairs = Math.floor(Math.min(evaluation.images, train.size) / 2);
  const of = { flow, dataset: train, noiseStd, sigma, pairs, batchSize: teacherBatch };
  return await withProgress(
    `${inputs.label}, distances`,
    pairs,
    "pairs",
    (onProgress) => zDistances({ ...of, rng: createRng(0).fork("zDistance"), onProgress }),
    inputs.signal,
  );
}
