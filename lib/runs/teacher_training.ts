import { createRng } from "../core/rng.ts";
import type { Dataset } from "../data/types.ts";
import type { TeacherRecipe } from "../recipes/types.ts";
import { maxLikelihoodBatch, maxLikelihoodLoss } from "../training/max_likelihood.ts";
import { flowOf } from "./recipe_models.ts";
import { epochRows, train } from "./train.ts";

/** Trains a teacher by maximum likelihood (paper §2.2) in a stage's folder; `teacherWeights` is the result. */
export async function trainTeacher(
  recipe: TeacherRecipe,
  dataset: Dataset,
  options: { seed: number; flips: boolean; folder: string; identity: Record<string, string>; signal: AbortSignal },
): Promise<void> {
  const flow = flowOf(recipe, dataset);
  const { training, noiseStd } = recipe;
  const rng = createRng(options.seed).fork("teacher");
  await train({
    compile: true,
    label: "teacher",
    specs: flow.specs,
    loss: maxLikelihoodLoss(flow),
    batch: async (step) => {
      const draw = rng.fork("batch").at(step);
      const rows = epochRows(dataset.size, training.batch, step, rng.fork("epoch"));
      const flipped = options.flips ? Uint8Array.from(draw.fork("flip").bits(rows.length), (u) => u & 1) : undefined;
      const images = await dataset.gather(rows, flipped);
      return maxLikelihoodBatch(images, dataset.shape, draw, { noiseStd, labelDropout: training.labelDropout });
    },
    training,
    rng,
    folder: options.folder,
    identity: options.identity,
    keepAt: [training.samples],
    signal: options.signal,
  });
}
