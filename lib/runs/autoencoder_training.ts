import { createRng } from "../core/rng.ts";
import type { Dataset } from "../data/types.ts";
import { autoencodingBatch, autoencodingLoss } from "../training/autoencoding.ts";
import type { TrainedAutoencoder } from "./autoencoder.ts";
import { autoencoderOf } from "./recipe_models.ts";
import { epochRows, train } from "./train.ts";

/** Trains an autoencoder in a stage's folder; `trainedWeights` is the result. */
export async function trainAutoencoder(
  recipe: TrainedAutoencoder,
  dataset: Dataset,
  options: { folder: string; identity: Record<string, string>; signal: AbortSignal },
): Promise<void> {
  const definition = autoencoderOf(recipe, dataset);
  const { training } = recipe;
  const rng = createRng(0).fork("autoencoder");
  await train({
    label: "autoencoder",
    specs: definition.specs,
    loss: autoencodingLoss(definition, training),
    batch: async (step) => {
      const images = await dataset.gather(epochRows(dataset.size, training.batch, step, rng.fork("epoch")));
      return autoencodingBatch(images, dataset.shape, definition.latentShape, rng.fork("batch").at(step));
    },
    training,
    rng,
    keepAt: [training.samples],
    ...options,
  });
}
