import { createRng } from "../core/rng.ts";
import { say, withProgress } from "../core/terminal.ts";
import { tf } from "../engine/mod.ts";
import type { FlowGuidance } from "../models/types.ts";
import type { GuidanceRecipe } from "../recipes/types.ts";
import { type Drawn, drawSamples } from "../sampling/draw.ts";
import { goldenSection } from "../sampling/golden_section.ts";
import { teacherSource } from "../sampling/teacher.ts";
import { distanceOf, roughDistance } from "./comparison.ts";
import { searchOf, type StageFigures } from "./stage_figures.ts";
import { sigmaOf, teacherBatch, type TeacherInputs } from "./teacher_inputs.ts";

/** The Fréchet distance of the teacher's own samples, its training noise removed; guided as TarFlow's evaluation is. */
export async function ownSamples(inputs: TeacherInputs, kind: GuidanceRecipe): Promise<StageFigures> {
  const { bench, evaluation: { samples, guidanceSearch } } = inputs;
  const measured = async (weight?: number) => {
    const of = { count: samples, stream: "teacherSamples", ...(weight !== undefined && { weight }) };
    const { data, redrawn } = await teacherDraw(inputs, of);
    return {
      frechet: await distanceOf(bench, data),
      ...(redrawn !== undefined && { redraws: { value: redrawn, sampleCount: samples } }),
    };
  };
  if (kind === "unguided") return { figures: await measured() };
  const search = await goldenSection(async (weight) => {
    const of = { count: guidanceSearch.samples, stream: "guidanceSearch", weight };
    return await roughDistance(bench, (await teacherDraw(inputs, of)).data);
  }, { bracket: [guidanceSearch.low, guidanceSearch.high], iterations: guidanceSearch.iterations });
  const { frechet, ...others } = await measured(search.weight);
  const guidanceWeight = { value: search.weight, sampleCount: guidanceSearch.samples };
  return { figures: { frechet, guidanceWeight, ...others }, search: searchOf(search) };
}

/** Times that a batch of the teacher's samples is drawn again where a value is not finite; TarFlow's has no bound. */
const teacherRedraws = 10;

/**
 * Samples of the teacher, `[count, …shape]`; with a weight, guided in every
 * block, rising over the tokens (TarFlow's evaluation). `fromSeed` starts from
 * σ_f·z, where a student starts from z: pictures of the same seed, so that
 * nothing is drawn again under other noise.
 */
export async function teacherDraw(
  inputs: TeacherInputs,
  options: { count: number; stream: string; weight?: number; labels?: Int32Array; fromSeed?: number },
): Promise<Drawn> {
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
      redraws: fromSeed === undefined ? teacherRedraws : 0,
      onProgress,
    });
  const drawn = await withProgress(named, count, "samples", draw, inputs.signal);
  sigma?.dispose();
  if (drawn.redrawn !== undefined) {
    say(`${named}: samples that were not finite were drawn again under other noise, ${drawn.redrawn} batches in all`);
  }
  return drawn;
}
