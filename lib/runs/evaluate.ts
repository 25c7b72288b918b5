import { join } from "node:path";
import { writeFileAtomic } from "../core/files.ts";
import { createRng } from "../core/rng.ts";
import { progress } from "../core/terminal.ts";
import { quantise } from "../data/quantise.ts";
import { curvatureMeasurement } from "../metrics/curvature.ts";
import { extractFeatures } from "../metrics/features.ts";
import { frechetMeasurement } from "../metrics/frechet.ts";
import { statisticsOf } from "../metrics/statistics.ts";
import type { Measurement } from "../metrics/types.ts";
import type { VelocityModel } from "../models/types.ts";
import type { EvaluationRecipe, GuidanceRecipe, SamplerRecipe } from "../recipes/types.ts";
import { type FigureKey, figureKey, samplerName } from "../results/figures.ts";
import { type Drawn, drawSamples, studentSource } from "../sampling/draw.ts";
import { goldenSection, type Probe } from "../sampling/golden_section.ts";
import { withGuidance } from "../sampling/guidance.ts";
import { sampler } from "../sampling/ode.ts";
import { writeSafetensors } from "../training/safetensors.ts";
import type { Workbench } from "./workbench.ts";

/** Images of each solver and guidance that the picture of a table shows: one per class, the same noise in all. */
const pictured = 10;

/** Noise that the teacher made of held-out images, `[count, …shape]`, and their labels. */
export interface HeldOut {
  readonly noise: Float32Array;
  readonly labels: Int32Array;
}

/** What one evaluation measures, and on what. */
export interface EvaluationInputs {
  readonly bench: Workbench;
  readonly model: VelocityModel;
  readonly recipe: EvaluationRecipe;
  readonly row: string;
  readonly checkpoint: number;
  readonly seed: number;
  readonly folder: string;
  /** The student's mean training loss up to the checkpoint. */
  readonly loss: number;
  /** Given where the student's noise came from a teacher: it is then measured on held-out z too. */
  readonly heldOut?: HeldOut;
  /** Weights that were found before, by sampler; the others are searched for. */
  readonly searches: Readonly<Record<string, Search>>;
  readonly signal: AbortSignal;
}

/** Where the search for a guidance weight went. */
export interface Search {
  readonly weight: number;
  readonly probes: readonly Probe[];
}

/** What an evaluation leaves in its folder as `evaluation.json`. */
export interface Evaluation {
  readonly figures: Readonly<Record<string, Measurement>>;
  /** By sampler. */
  readonly searches: Readonly<Record<string, Search>>;
}

/** Samples a student with every solver and guidance of the recipe, measures, and writes `evaluation.json`. */
export async function evaluate(inputs: EvaluationInputs): Promise<void> {
  const { recipe, row, checkpoint, folder } = inputs;
  const figures: Record<string, Measurement> = {};
  const searches: Record<string, Search> = {};
  const pictures: [string, { shape: number[]; data: Float32Array }][] = [];
  const measures = (metric: EvaluationRecipe["metrics"][number]) => recipe.metrics.includes(metric);
  for (const solver of recipe.samplers) {
    const name = samplerName(solver);
    const put = (metric: string, guidance: GuidanceName, figure: Measurement) =>
      figures[figureKey({ row, checkpoint, sampler: name, guidance, metric })] = figure;
    for (const kind of recipe.guidance) {
      const guidance = guidanceName(kind);
      const weight = kind === "unguided"
        ? 1
        : (searches[name] = inputs.searches[name] ?? await searchWeight(inputs, solver)).weight;
      const drawn = await draw(inputs, solver, weight, { count: recipe.samples, noise: "evaluation" });
      if (measures("frechet")) put("frechet", guidance, await distance(inputs, drawn));
      if (kind === "search") {
        put("guidanceWeight", guidance, { value: weight, sampleCount: recipe.guidanceSearch.samples });
      }
      if (drawn.curvature && measures("curvature")) put("curvature", guidance, curvatureMeasurement(drawn.curvature));
      const { shape } = inputs.bench.train;
      const first = drawn.data.slice(0, pictured * drawn.data.length / recipe.samples);
      pictures.push([`${name} ${guidance}`, {
        shape: [first.length / (shape[0] * shape[1] * shape[2]), ...shape],
        data: first,
      }]);
    }
    if (inputs.heldOut && measures("priorMismatch")) {
      const drawn = await draw(inputs, solver, 1, { count: inputs.heldOut.labels.length, heldOut: inputs.heldOut });
      put("frechetHeldOut", "unguided", await distance(inputs, drawn));
    }
  }
  if (measures("loss")) {
    figures[figureKey({ row, checkpoint, metric: "loss" })] = {
      value: inputs.loss,
      sampleCount: Math.ceil(checkpoint / 10),
    };
  }
  await writeSafetensors(join(folder, "pictures.safetensors"), pictures, {});
  await writeFileAtomic(
    join(folder, "evaluation.json"),
    JSON.stringify({ figures, searches } satisfies Evaluation, null, 1),
  );
}

type GuidanceName = NonNullable<FigureKey["guidance"]>;

/** How a recipe's word for guidance stands in a figure's name. */
export function guidanceName(kind: GuidanceRecipe): GuidanceName {
  return kind === "unguided" ? "unguided" : "guided";
}

/** The paper's search (§4): golden section on a small-sample Fréchet distance, the same noise for every probe. */
async function searchWeight(inputs: EvaluationInputs, solver: SamplerRecipe): Promise<Search> {
  const { low, high, iterations, samples } = inputs.recipe.guidanceSearch;
  const { weight, probes } = await goldenSection(async (w) => {
    const drawn = await draw(inputs, solver, w, { count: samples, noise: "guidanceSearch" });
    const { features } = await extractFeatures(inputs.bench.features, quantise(drawn.data));
    return inputs.bench.reference.distance(statisticsOf(features, features.length / samples), {
      allowFewSamples: true,
    });
  }, { bracket: [low, high], iterations });
  return { weight, probes };
}

async function draw(
  { bench, model, recipe, row, checkpoint, seed, signal }: EvaluationInputs,
  solver: SamplerRecipe,
  weight: number,
  what: { count: number } & ({ noise: string } | { heldOut: HeldOut }),
): Promise<Drawn> {
  const wantsCurvature = weight === 1 && "noise" in what && recipe.metrics.includes("curvature");
  const label = `${row} at ${checkpoint}, ${samplerName(solver)}, w ${weight.toPrecision(3)}`;
  const bar = progress(label, what.count, "samples");
  try {
    return await drawSamples({
      source: studentSource(sampler({ ...solver, curvature: wantsCurvature }), withGuidance(model, weight)),
      count: what.count,
      batchSize: recipe.batch,
      shape: bench.train.shape,
      classes: bench.train.classes,
      // The same noise for every row of a seed: differences between rows are not differences of luck.
      rng: createRng(seed).fork("noise" in what ? what.noise : "heldOut"),
      ...("heldOut" in what && what.heldOut),
      onProgress: (done) => {
        signal.throwIfAborted();
        bar.update(done);
      },
    });
  } finally {
    bar.stop();
  }
}

async function distance({ bench }: EvaluationInputs, { data }: Drawn): Promise<Measurement> {
  const { features } = await extractFeatures(bench.features, quantise(data));
  return frechetMeasurement(features, bench.reference, { allowFewSamples: true });
}
