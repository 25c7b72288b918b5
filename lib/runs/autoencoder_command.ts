import { stringify } from "@std/yaml";
import { writeFileAtomic } from "../core/files.ts";
import { hashFile, hashOf } from "../core/hash.ts";
import { Problem } from "../core/problem.ts";
import { createRng } from "../core/rng.ts";
import { beQuiet, say, withProgress } from "../core/terminal.ts";
import { interruptible } from "../data/interruptible.ts";
import type { Dataset } from "../data/types.ts";
import { tf } from "../engine/mod.ts";
import { type FeatureNetwork, featureStatistics } from "../metrics/features.ts";
import { frechetReference } from "../metrics/frechet.ts";
import { measureReconstruction, type Reconstruction } from "../metrics/reconstruction.ts";
import { bindAutoencoder } from "../models/bind.ts";
import type { Autoencoder } from "../models/types.ts";
import { parameterCount } from "../nn/parameters.ts";
import type { DataRecipe, ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { commitHere } from "../results/provenance.ts";
import { readWeights, writeWeights } from "../training/weights.ts";
import {
  type AutoencoderCard,
  autoencoderFiles,
  autoencoderRecipe,
  autoencoderStage,
  keepsAutoencoder,
  type TrainedAutoencoder,
  trainedWeights,
} from "./autoencoder.ts";
import { trainAutoencoder } from "./autoencoder_training.ts";
import { interruptSignal } from "./interrupt.ts";
import { openFeatures } from "./features.ts";
import { autoencoderOf } from "./recipe_models.ts";
import { environmentOf } from "./stage_environment.ts";
import { planStage, runStage } from "./stages.ts";
import { loadSplits, openNamedEngine, wholeSet } from "./workbench.ts";

/**
 * Trains the autoencoder of a recipe on its whole image set and keeps it under
 * `autoencoder.pretrained`: `autoencoder.safetensors` holds the averaged
 * weights, `recipe.yaml` what made them, `card.json` what they reach. One that
 * this very recipe has made is left alone, unless `force` is given.
 *
 * @throws {Problem} if the recipe has none to train
 */
export async function autoencoderCommand(recipe: ResolvedRecipe, options: RunOptions): Promise<void> {
  if (options.quiet) beQuiet();
  const trained = trainedOf(recipe), data = wholeSet(recipe.data), { pretrained } = trained;
  if (options.force === undefined && await keepsAutoencoder(trained, data)) {
    return say(`${pretrained}/ is what this recipe makes; --force trains it again`);
  }
  if (options.dryRun) return console.log(`would train the autoencoder of ${recipe.experiment} into ${pretrained}/`);
  const commit = await commitHere(), engine = await openNamedEngine(options);
  const { train, test } = await loadSplits(data);
  const { network } = await openFeatures(recipe.features, train);
  const plan = await planStage(await autoencoderStage(trained, train, engine.kind), {
    forced: options.force !== undefined,
    scope: "autoencoders",
  });
  const signal = interruptSignal();
  const { seconds } = await runStage(
    plan,
    (folder) => trainAutoencoder(trained, train, { folder, identity: { stage: plan.id }, signal }),
    { environment: () => environmentOf(engine) },
  );
  const sets = { train: interruptible(train, signal), test: interruptible(test, signal) };
  const card = await keepAutoencoder(trained, data, sets, network, trainedWeights(trained, plan.folder), {
    engine: `${engine.version} (${engine.kind})`,
    commit,
    code: plan.stage.key["code"],
    seconds: Math.round(seconds),
  });
  const { rms, psnr } = card.test, { frechet } = card.train;
  say(`written to ${pretrained}/: ${rms} rms of a pixel held out (${psnr} dB), FD ${frechet}`);
}

/** Measures trained weights and writes weights, recipe and card into the recipe's folder. */
export async function keepAutoencoder(
  trained: TrainedAutoencoder,
  data: DataRecipe,
  { train, test }: { readonly train: Dataset; readonly test: Dataset },
  network: FeatureNetwork,
  weights: string,
  origin: Pick<AutoencoderCard, "engine" | "commit" | "code" | "seconds">,
): Promise<AutoencoderCard> {
  const definition = autoencoderOf(trained, train), files = autoencoderFiles(trained);
  const { flat } = await readWeights(weights, definition.specs);
  const vector = tf.tensor1d(flat);
  const measured = await measure(bindAutoencoder(definition, vector), network, train, test);
  vector.dispose();
  const made = autoencoderRecipe(trained, data), recipeHash = hashOf(made);
  await writeWeights(files.weights, definition.specs, flat, { recipe: recipeHash });
  await writeFileAtomic(files.recipe, stringify(made));
  const card: AutoencoderCard = {
    data: train.name,
    trainDigest: train.digest,
    recipeHash,
    weights: await hashFile(files.weights),
    parameters: parameterCount(definition.specs),
    latentShape: definition.latentShape,
    ...measured,
    ...origin,
  };
  await writeFileAtomic(files.card, `${JSON.stringify(card, null, 2)}\n`);
  return card;
}

function trainedOf({ autoencoder, experiment }: ResolvedRecipe): TrainedAutoencoder {
  if (autoencoder?.training) return { ...autoencoder, training: autoencoder.training };
  throw new Problem(
    autoencoder
      ? `The autoencoder of ${experiment} at this scale is published: there is nothing to train`
      : `The recipe of ${experiment} has no autoencoder: its models see pixels; name another experiment, such as table6`,
  );
}

async function measure(
  autoencoder: Autoencoder,
  network: FeatureNetwork,
  train: Dataset,
  test: Dataset,
): Promise<Pick<AutoencoderCard, "scale" | "posteriorStd" | "train" | "test">> {
  const reference = frechetReference(await featureStatistics(network, train));
  const of = (dataset: Dataset) =>
    withProgress(`reconstructions, ${dataset.split}`, dataset.size, "images", (onProgress) =>
      measureReconstruction({
        autoencoder,
        dataset,
        features: network,
        reference,
        batchSize: 250,
        rng: createRng(0).fork("reconstruction").fork(dataset.split),
        onProgress,
      }));
  const seen = await of(train), unseen = await of(test);
  const rounded = (x: number) => Number(x.toPrecision(5));
  const cardOf = ({ rms, psnr, frechet }: Reconstruction) => ({
    rms: Number(rms.toFixed(4)),
    psnr: Number(psnr.toFixed(2)),
    frechet: Number(frechet.value.toFixed(3)),
  });
  return {
    scale: rounded(1 / seen.latentRms),
    posteriorStd: rounded(seen.posteriorStd / seen.latentRms),
    train: cardOf(seen),
    test: cardOf(unseen),
  };
}
