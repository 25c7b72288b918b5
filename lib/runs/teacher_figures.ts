import { createRng } from "../core/rng.ts";
import { Problem } from "../core/problem.ts";
import { say, withProgress } from "../core/terminal.ts";
import type { Coupling } from "../couplings/types.ts";
import { tf } from "../engine/mod.ts";
import { encodeSplit } from "../metrics/encode.ts";
import { likelihood } from "../metrics/likelihood.ts";
import { priorMismatch } from "../metrics/prior_mismatch.ts";
import type { Measurement } from "../metrics/types.ts";
import { zDistances } from "../metrics/z_distance.ts";
import type { FlowGuidance, NormalizingFlow } from "../models/types.ts";
import { sizeOf } from "../nn/parameters.ts";
import type { EvaluationRecipe, GuidanceRecipe } from "../recipes/types.ts";
import { type Drawn, drawSamples } from "../sampling/draw.ts";
import { goldenSection } from "../sampling/golden_section.ts";
import { teacherSource } from "../sampling/teacher.ts";
import { type HeldOut, searchOf, type StageFigures } from "./cell.ts";
import type { TeacherFigures } from "./plan.ts";
import { distanceOf, roughDistance, type Workbench } from "./workbench.ts";

/** Images at a time for the teacher: its denoising step keeps every layer's activations (batch 250 takes 3.7 GB). */
export const teacherBatch = 64;

/** What a teacher's figures are measured with. */
export interface TeacherInputs {
  readonly bench: Workbench;
  readonly flow: NormalizingFlow;
  /** η of paper §2.2. */
  readonly noiseStd: number;
  /** What makes its output the student's noise. */
  readonly coupling: Coupling;
  readonly evaluation: EvaluationRecipe;
  /** For the progress bar. */
  readonly label: string;
  readonly signal: AbortSignal;
}

/** One group of figures of a teacher apart from its students. */
export async function measureTeacher(
  inputs: TeacherInputs,
  { metric, guidance }: Pick<TeacherFigures, "metric" | "guidance">,
): Promise<StageFigures> {
  if (metric === "likelihood") return { figures: await likelihoods(inputs) };
  if (metric === "zDistance") return { figures: await distancesOfCodes(inputs) };
  if (metric === "priorMismatch") {
    const { noise, labels } = await heldOutNoise(inputs);
    return { figures: priorMismatch({ z: noise, labels, dims: noise.length / labels.length }) };
  }
  return await ownSamples(inputs, guidance!);
}

/** Of both splits; of latents without bits, which count the grey levels of pixels. */
async function likelihoods(inputs: TeacherInputs): Promise<Record<string, Measurement>> {
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

/** σ_f, where the coupling divides by one. */
function sigmaOf({ coupling, label }: TeacherInputs, what: string): Float32Array {
  if (coupling.sigma) return coupling.sigma;
  throw new Problem(
    `There are no ${what} of ${label}: they need σ_f, and this row whitens z instead; take the metric off`,
  );
}

/** Paper §3.3 on the training set, or as much of it as the recipe looks at. */
async function distancesOfCodes(inputs: TeacherInputs): Promise<Record<string, Measurement>> {
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

/** z of held-out images, `[count, …shape]`: what the student would have to be fed. */
export async function heldOutNoise({ bench: { test }, flow, noiseStd, coupling, evaluation }: TeacherInputs) {
  const rows = Math.min(evaluation.images, test.size), dims = sizeOf(test.shape);
  const noise = new Float32Array(rows * dims), labels = new Int32Array(rows);
  let row = 0;
  const inputs = {
    flow,
    dataset: test,
    noiseStd,
    batchSize: teacherBatch,
    rng: createRng(0).fork("heldOut"),
    limit: rows,
  };
  for await (const encoded of encodeSplit(inputs)) {
    const count = encoded.labels.length;
    const z = tf.tidy(() =>
      coupling.toNoise!(tf.tensor(encoded.noise, [count, ...test.shape]), tf.tensor1d(encoded.labels, "int32"))
    );
    noise.set(await z.data<"float32">(), row * dims);
    labels.set(encoded.labels, row);
    z.dispose();
    row += count;
  }
  return { noise, labels } satisfies HeldOut;
}

/** The Fréchet distance of the teacher's own samples, its training noise removed; guided as TarFlow's evaluation is. */
async function ownSamples(inputs: TeacherInputs, kind: GuidanceRecipe): Promise<StageFigures> {
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
