import { createRng } from "../core/rng.ts";
import { withProgress } from "../core/terminal.ts";
import { tf } from "../engine/mod.ts";
import type { FlowGuidance } from "../models/types.ts";
import type { GuidanceRecipe } from "../recipes/types.ts";
import { drawSamples } from "../sampling/draw.ts";
import { goldenSection } from "../sampling/golden_section.ts";
import { teacherSource } from "../sampling/teacher.ts";
import type { StageFigures } from "./cell.ts";
import { distanceOf, roughDistance } from "./comparison.ts";
import { sigmaOf, teacherBatch, type TeacherInputs } from "./teacher_inputs.ts";

/** The Fréchet distance of the teacher's own samples, its training noise removed; guided as TarFlow's evaluation is. */
export async function ownSamples(inputs: TeacherInputs, kind: GuidanceRecipe): Promise<StageFigures> {
  const { bench, evaluation: { samples, guidanceSearch } } = inputs;
  if (kind === "unguided") {
    const data = await teacherDraw(inputs, { count: samples, stream: "teacherSamples" });
    return { figures: { frechet: await distanceOf(bench, data) } };
  }
  const search = await goldenSection(async (weight) => {
    const of = { count: guidanceSearch.samples, stream: "guidanceSearch", weight };
    return await roughDistance(bench, await teacherDraw(inputs, of));
  }, { bracket: [guidanceSearch.low, guidanceSearch.high], iterations: guidanceSearch.iterations });
  const data = await teacherDraw(inputs, { count: samples, stream: "teacherSamples", weight: search.weight });
  const guidanceWeight = { value: search.weight, sampleCount: guidanceSearch.samples };
  return { figures: { frechet: await distanceOf(bench, data), guidanceWeight }, search };
}

/**
 * Samples of the teacher, `[count, …shape]`; with a weight, guided in every
 * block, rising over the tokens (TarFlow's evaluation). `fromSeed` starts from
 * σ_f·z, where a student starts from z: pictures of the same seed.
 */
export async function teacherDraw(
  inputs: TeacherInputs,
  options: { count: number; stream: string; weight?: number; labels?: Int32Array; fromSeed?: number },
): Promise<Float32Array> {
  const { bench: { train }, flow, noiseStd, label } = inputs;
  const { count, stream, weight, labels, fromSeed } = options;
  const guidance: FlowGuidance | undefined = weight === undefined ? undefined : { weight, annealed: true };
  const sigma = fromSeed === undefined
    ? undefined
    : tf.tensor(sigmaOf(inputs, "pictures of the same seeds"), [1, ...train.shape]);
  const { denoiseBatch } = inputs.evaluation;
  const source = teacherSource(flow, {
    noiseStd,
    denoiseBatch,
    ...(guidance && { guidance }),
    ...(sigma && { sigma }),
  });
  const named = `${label}, decoding${weight === undefined ? "" : `, w ${weight.toPrecision(3)}`}`;
  const draw = (onProgress: (done: number) => void) =>
    drawSamples({
      source,
      count,
      batchSize: teacherBatch,
      shape: train.shape,
      classes: train.classes,
      rng: createRng(fromSeed ?? 0).fork(stream),
      ...(labels && { labels }),
      onProgress,
    });
  const { data } = await withProgress(named, count, "samples", draw, inputs.signal);
  sigma?.dispose();
  return data;
}
