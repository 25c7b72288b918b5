import { say } from "../core/terminal.ts";
import type { DatasetKind } from "../data/kind.ts";
import * as datasets from "../data/mod.ts";
import { subset } from "../data/subset.ts";
import type { Dataset } from "../data/types.ts";
import { type Engine, openEngine } from "../engine/mod.ts";
import { openFeatureArtifact } from "../metrics/feature_artifact.ts";
import { extractFeatures, type FeatureNetwork } from "../metrics/features.ts";
import { type FrechetReference, frechetReference } from "../metrics/frechet.ts";
import { statisticsOf } from "../metrics/statistics.ts";
import type { DataRecipe, ResolvedRecipe, RunOptions } from "../recipes/types.ts";

/** Both splits of the data, as a recipe prepares them. */
export interface Splits {
  readonly train: Dataset;
  readonly test: Dataset;
}

/** What every measurement stands on: the engine in use and the feature network with its reference. */
export interface Workbench extends Splits {
  readonly engine: Engine;
  readonly features: FeatureNetwork;
  /** For the caption: where the features come from and the digest that identifies them. */
  readonly featuresName: string;
  /** The training set under the feature network. */
  readonly reference: FrechetReference;
}

/**
 * Loads both splits, one after the other: each may take all threads.
 *
 * @throws {Problem} when the data cannot be had, or fail their digest.
 */
export async function loadSplits(recipe: DataRecipe, limit?: number): Promise<Splits> {
  const { member, options } = memberOf(recipe);
  return limitSplits({ train: await member.load(options, "train"), test: await member.load(options, "test") }, limit);
}

/** Both splits for a dry run: as they are, or where preparing them may take long their outlines, saying what is there. */
export async function outlineSplits(recipe: DataRecipe, limit?: number): Promise<Splits> {
  const { member, options } = memberOf(recipe);
  if (!member.inspect) return await loadSplits(recipe, limit);
  const outline = async (split: "train" | "test") => {
    const { outline, remarks } = await member.inspect!(options, split);
    remarks.forEach((remark) => say(`${outline.name} ${split}: ${remark}`));
    return outline;
  };
  return limitSplits({ train: await outline("train"), test: await outline("test") }, limit);
}

/** The data that a recipe names, as a member of the registry and its options. */
export function memberOf({ kind, ...options }: DataRecipe): { member: DatasetKind<unknown>; options: unknown } {
  return { member: (datasets as Record<string, unknown>)[kind] as DatasetKind<unknown>, options };
}

/** A fast look needs enough rows for a covariance of features, and no more. */
function limitSplits({ train, test }: Splits, limit: number | undefined): Splits {
  if (limit === undefined) return { train, test };
  const rows = Math.max(limit, 512);
  return { train: subset(train, Math.min(rows, train.size)), test: subset(test, Math.min(rows, test.size)) };
}

/** The data of a recipe without where they lie: what of it decides what is made. */
export function withoutPlaces(recipe: DataRecipe): Readonly<Record<string, unknown>> {
  const { places = [] } = memberOf(recipe).member;
  return Object.fromEntries(Object.entries(recipe).filter(([option]) => !places.includes(option)));
}

/** The same data without a cut of the training set: a feature network belongs to the whole set. */
export function wholeSet(recipe: DataRecipe): DataRecipe {
  const { images: _, ...whole } = recipe as DataRecipe & { images?: number };
  return whole as DataRecipe;
}

/** Opens the engine that was asked for and says in one line which it is and why. */
export async function openNamedEngine(options: RunOptions): Promise<Engine> {
  const engine = await openEngine(options.engine);
  say(`engine: ${engine.kind}, ${engine.version} on ${engine.device} (${engine.reason})`, options);
  return engine;
}

/** Opens the engine and prepares the reference of the Fréchet distance. */
export async function openWorkbench(recipe: ResolvedRecipe, options: RunOptions, splits: Splits): Promise<Workbench> {
  const engine = await openNamedEngine(options);
  const { train } = splits;
  const folder = recipe.features.pretrained;
  const cut = options.limit !== undefined || "images" in recipe.data;
  const full = cut ? (await loadSplits(wholeSet(recipe.data))).train : train;
  const { network } = await openFeatureArtifact(folder, full);
  const { features } = await extractFeatures(network, train);
  const reference = frechetReference(statisticsOf(features, features.length / train.size));
  return { ...splits, engine, features: network, featuresName: `${folder} ${network.digest.slice(0, 8)}`, reference };
}
