import { join } from "node:path";
import { createRng } from "../core/rng.ts";
import { withProgress } from "../core/terminal.ts";
import { curvatureMeasurement } from "../metrics/curvature.ts";
import type { VelocityModel } from "../models/types.ts";
import type { EvaluationRecipe, SamplerRecipe } from "../recipes/types.ts";
import { samplerName } from "../results/figures.ts";
import { type Drawn, drawSamples, studentSource } from "../sampling/draw.ts";
import { goldenSection } from "../sampling/golden_section.ts";
import { withGuidance } from "../sampling/guidance.ts";
import { sampler } from "../sampling/ode.ts";
import { writeSafetensors } from "../training/safetensors.ts";
import { distanceOf, roughDistance } from "./comparison.ts";
import type { CellPlan } from "./plan.ts";
import { type Search, searchOf, writeStageFigures } from "./stage_figures.ts";
import type { Workbench } from "./workbench.ts";

/** Images of a cell that the picture of a table shows: one per class, the same noise in all. */
const pictured = 10;

/** Noise that the teacher made of held-out images, `[count, …shape]`, and their labels. */
export interface HeldOut {
  readonly noise: Float32Array;
  readonly labels: Int32Array;
}

/** What one cell measures, and on what. */
export interface CellInputs {
  readonly bench: Workbench;
  readonly model: VelocityModel;
  readonly recipe: EvaluationRecipe;
  readonly cell: CellPlan;
  /** For the progress bar: `NFM at 131072`. */
  readonly label: string;
  readonly seed: number;
  readonly folder: string;
  /** What the first seed's search found, where this one takes its weight. */
  readonly found?: Search;
  /** For the guidance `heldOut`. */
  readonly heldOut?: HeldOut;
  readonly signal: AbortSignal;
}

/** Samples a student under the cell's solver and guidance, measures, and keeps a few of the images. */
export async function evaluateCell(inputs: CellInputs): Promise<void> {
  const { recipe, cell, folder, bench, heldOut } = inputs;
  if (cell.guidance === "heldOut") {
    const drawn = await draw(inputs, 1, { count: heldOut!.labels.length, heldOut: heldOut! });
    return await writeStageFigures(folder, { figures: { frechetHeldOut: await distanceOf(bench, drawn.data) } });
  }
  const search = cell.guidance === "search" ? inputs.found ?? await searchWeight(inputs) : undefined;
  const drawn = await draw(inputs, search?.weight ?? 1, { count: recipe.samples, noise: "evaluation" });
  const figures = {
    frechet: await distanceOf(bench, drawn.data),
    ...(search && { guidanceWeight: { value: search.weight, sampleCount: recipe.guidanceSearch.samples } }),
    ...(drawn.curvature && { curvature: curvatureMeasurement(drawn.curvature) }),
  };
  const count = Math.min(pictured, recipe.samples);
  const data = await bench.toImages(drawn.data.slice(0, count * drawn.data.length / recipe.samples));
  const shape = [count, ...bench.images.train.shape];
  await writeSafetensors(join(folder, "pictures.safetensors"), [["images", { shape, data }]], {});
  await writeStageFigures(folder, { figures, ...(search && { search }) });
}

/** The paper's search (§4): golden section on a small-sample Fréchet distance, the same noise for every probe. */
async function searchWeight(inputs: CellInputs): Promise<Search> {
  const { low, high, iterations, samples } = inputs.recipe.guidanceSearch;
  const found = await goldenSection(async (w) => {
    const { data } = await draw(inputs, w, { count: samples, noise: "guidanceSearch" });
    return await roughDistance(inputs.bench, data);
  }, { bracket: [low, high], iterations });
  return searchOf(found);
}

async function draw(
  { bench, model, recipe, cell, label, seed, signal }: CellInputs,
  weight: number,
  what: { count: number } & ({ noise: string } | { heldOut: HeldOut }),
): Promise<Drawn> {
  const curvature = weight === 1 && "noise" in what && cell.guidance === "unguided";
  return await drawWithStudent(bench, model, {
    label: `${label}, ${samplerName(cell.sampler)}, w ${weight.toPrecision(3)}`,
    sampler: cell.sampler,
    weight,
    curvature,
    batch: recipe.batch,
    count: what.count,
    seed,
    stream: "noise" in what ? what.noise : "heldOut",
    ...("heldOut" in what && what.heldOut),
    signal,
  });
}

/** Draws from a student with a progress bar. Sample i of a stream has the same noise in every row of a seed. */
export async function drawWithStudent(
  bench: Workbench,
  model: VelocityModel,
  options: {
    label: string;
    sampler: SamplerRecipe;
    weight: number;
    curvature?: boolean;
    batch: number;
    count: number;
    seed: number;
    stream: string;
    noise?: Float32Array;
    labels?: Int32Array;
    signal: AbortSignal;
  },
): Promise<Drawn> {
  const { label, count, weight, batch, seed, stream, signal, noise, labels, curvature = false } = options;
  const draw = (onProgress: (done: number) => void) =>
    drawSamples({
      source: studentSource(sampler({ ...options.sampler, curvature }), withGuidance(model, weight)),
      count,
      batchSize: batch,
      shape: bench.train.shape,
      classes: bench.train.classes,
      rng: createRng(seed).fork(stream),
      ...(noise && { noise }),
      ...(labels && { labels }),
      onProgress,
    });
  return await withProgress(label, count, "samples", draw, signal);
}
