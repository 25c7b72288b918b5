import { join } from "node:path";
import { exists } from "../core/files.ts";
import { hashFile, hashOf } from "../core/hash.ts";
import { withProgress } from "../core/terminal.ts";
import type { Dataset } from "../data/types.ts";
import { openFeatureArtifact } from "../metrics/feature_artifact.ts";
import type { FeatureRecipe } from "../metrics/feature_training.ts";
import { type FeatureNetwork, featureStatistics } from "../metrics/features.ts";
import { openInception } from "../metrics/inception.ts";
import { fidWeights } from "../metrics/inception_options.ts";
import { keptStatistics, readPublishedStatistics } from "../metrics/reference_statistics.ts";
import type { Statistics } from "../metrics/statistics.ts";
import type { FeaturesRecipe } from "../recipes/types.ts";
import { codeVersion } from "./code_version.ts";
import { featuresCode, referenceCode } from "./stage_code.ts";
import type { Stage } from "./stages.ts";

/** Where statistics of training sets are kept; not under version control. */
export const referencesFolder = ".nfm/references";

/** The stage in which a feature network is trained on the images of `train`. */
export async function featuresStage(made: FeatureRecipe, train: Dataset, engine: string): Promise<Stage> {
  const { seed, training } = made, code = await codeVersion(featuresCode);
  const key = { seed, training, data: train.digest, engine, code };
  return { kind: "features", name: `features of ${train.name}`, key };
}

/** A feature network as a caption names it. */
export interface NamedFeatures {
  readonly network: FeatureNetwork;
  /** Where it comes from, how images reach it, and the digest that identifies both. */
  readonly name: string;
}

/**
 * What identifies the features and their reference in the keys of stages. Of
 * published weights it is the digest that they must have. Neither they nor a trained
 * network need be there yet: a plan is made without.
 */
export async function featuresKey(recipe: FeaturesRecipe): Promise<string> {
  if (recipe.kind !== "inception") {
    const trained = join(recipe.pretrained, "features.safetensors");
    return await exists(trained) ? await hashFile(trained) : "not trained yet";
  }
  const { weights: _, sha256 = fidWeights.sha256, reference, ...options } = recipe;
  const published = reference !== undefined && await exists(reference) ? await hashFile(reference) : reference;
  return hashOf({ ...options, sha256, reference: published });
}

/**
 * Opens the network that a recipe names.
 *
 * @param train the whole training set: a trained network belongs to it
 * @throws {Problem} as `openInception` and `openFeatureArtifact`
 */
export async function openFeatures(recipe: FeaturesRecipe, train: Dataset): Promise<NamedFeatures> {
  if (recipe.kind !== "inception") {
    const { network } = await openFeatureArtifact(recipe.pretrained, train);
    return { network, name: `${recipe.pretrained} ${short(network)}` };
  }
  const { weights, resize, quantise, convention, sha256 } = recipe;
  const network = await openInception(weights, train.shape, {
    resize,
    quantise,
    convention,
    ...(sha256 !== undefined && { sha256 }),
  });
  return { network, name: `Inception (${resize}, ${quantise}, ${convention}) ${short(network)}` };
}

const short = ({ digest }: FeatureNetwork) => digest.slice(0, 8);

/**
 * The statistics that drawn images are compared with: the published ones that
 * the recipe names, or those of the training set. Inception's are kept, as they
 * take hours of a large set.
 *
 * @param engine engines round differently: each keeps its own
 * @throws {Problem} as `keptStatistics`
 */
export async function referenceOf(
  recipe: FeaturesRecipe,
  { network, name }: NamedFeatures,
  train: Dataset,
  engine: string,
  signal: AbortSignal,
): Promise<Statistics> {
  if (recipe.kind !== "inception") {
    return await featureStatistics(network, train, { onProgress: () => signal.throwIfAborted() });
  }
  if (recipe.reference !== undefined) return await readPublishedStatistics(recipe.reference, network.width);
  const path = await referencePath(recipe, network, train, engine);
  if (await exists(path)) return await keptStatistics(path, network, train);
  return await withProgress(
    `${name} of ${train.name}`,
    train.size,
    "images",
    (onProgress) => keptStatistics(path, network, train, { onProgress, signal }),
  );
}

/** Where the statistics of a training set are kept. */
export async function referencePath(
  recipe: FeaturesRecipe,
  network: FeatureNetwork,
  train: Dataset,
  engine: string,
): Promise<string> {
  const code = await codeVersion(referenceCode(recipe));
  const key = hashOf({ features: network.digest, data: train.digest, engine, code });
  return join(referencesFolder, `${key.slice(0, 16)}.safetensors`);
}
