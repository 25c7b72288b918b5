import { exists } from "../core/files.ts";
import { say } from "../core/terminal.ts";
import type { Inspection } from "../data/kind.ts";
import { subset } from "../data/subset.ts";
import type { Dataset } from "../data/types.ts";
import { type Engine, forceExecution, openEngine } from "../engine/mod.ts";
import type { FeatureNetwork } from "../metrics/features.ts";
import { type FrechetReference, frechetReference } from "../metrics/frechet.ts";
import type { AutoencoderRecipe, DataRecipe, ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { comparesImages } from "./asks.ts";
import { openFeatures, referenceOf } from "./features.ts";
import { memberOf } from "./data_member.ts";
import { autoencoderFiles } from "./autoencoder.ts";
import { interruptSignal } from "./interrupt.ts";
import { openLatents, outlineLatents } from "./latents.ts";

/** Both splits of the data, as the models see them. */
export interface Splits {
  readonly train: Dataset;
  readonly test: Dataset;
  /** The images themselves: what features and pictures are made of. */
  readonly images: { readonly train: Dataset; readonly test: Dataset };
  /** Images of what a model draws, `[count, …shape]` to `[count, …images.shape]`, in [-1, 1]. */
  readonly toImages: (drawn: Float32Array) => Promise<Float32Array>;
}

/** What every measurement stands on: the engine in use and what images are compared under. */
export interface Workbench extends Splits {
  readonly engine: Engine;
  /** Absent where the recipe asks for no comparison, and its feature network is not at hand. */
  readonly comparison?: Comparison;
  /** For the caption: where the features come from and the digest that identifies them. */
  readonly featuresName: string;
}

/** The feature network with its reference. */
export interface Comparison {
  readonly features: FeatureNetwork;
  /** What drawn samples are compared with: the training set under the feature network, unless the recipe names another. */
  readonly reference: FrechetReference;
}

/**
 * Both splits as pixels, loaded one after the other: each may take all threads.
 *
 * @throws {Problem} when the data cannot be had, or fail their digest.
 */
export async function loadSplits(recipe: DataRecipe, limit?: number): Promise<Splits> {
  const { member, options } = memberOf(recipe);
  return pixelSplits(await member.load(options, "train"), await member.load(options, "test"), limit);
}

/** Both splits as the models of a recipe see them: pixels, or the latents of its autoencoder. */
export async function openSplits(
  { data, autoencoder }: Pick<ResolvedRecipe, "data" | "autoencoder">,
  limit?: number,
): Promise<Splits> {
  return await asModelsSee(autoencoder, await loadSplits(data, limit), data);
}

async function asModelsSee(autoencoder: AutoencoderRecipe | undefined, pixels: Splits, data: DataRecipe) {
  return autoencoder ? await openLatents(autoencoder, pixels, data) : pixels;
}

/** The splits as far as they are known before anything is loaded, and what there is of them. */
export interface OutlinedSplits {
  readonly splits: Splits;
  /** Empty where the data are at hand, and loaded. */
  readonly inspections: readonly Inspection[];
}

/** The same for a dry run: where loading may take long, the outlines of the splits; latents without their weights. */
export async function outlineSplits(
  { data, autoencoder }: Pick<ResolvedRecipe, "data" | "autoencoder">,
  limit?: number,
): Promise<OutlinedSplits> {
  const { member, options } = memberOf(data);
  const inspections = member.inspect
    ? [await member.inspect(options, "train"), await member.inspect(options, "test")]
    : [];
  const [train, test] = inspections;
  const pixels = train && test ? pixelSplits(train.outline, test.outline, limit) : await loadSplits(data, limit);
  const unseen = autoencoder && !await exists(autoencoderFiles(autoencoder).weights);
  const splits = unseen ? outlineLatents(autoencoder, pixels) : await asModelsSee(autoencoder, pixels, data);
  return { splits, inspections };
}

/** A fast look needs enough rows for a covariance of features, and no more. */
function pixelSplits(whole: Dataset, wholeTest: Dataset, limit?: number): Splits {
  const rows = limit === undefined ? Infinity : Math.max(limit, 512);
  const cut = (split: Dataset) => rows < split.size ? subset(split, rows) : split;
  const train = cut(whole), test = cut(wholeTest);
  return { train, test, images: { train, test }, toImages: (drawn) => Promise.resolve(drawn) };
}

/** The same data without a cut of the training set: a feature network belongs to the whole set. */
export function wholeSet(recipe: DataRecipe): DataRecipe {
  const { images: _, ...whole } = recipe as DataRecipe & { images?: number };
  return whole as DataRecipe;
}

/** Samples of a `--limit` below which a run is over before its functions would be compiled. */
const worthCompiling = 4096;

/** Opens the engine that was asked for and says in one line which it is and why. */
export async function openNamedEngine(options: RunOptions): Promise<Engine> {
  const engine = await openEngine(options.engine);
  forceExecution((options.limit ?? Infinity) < worthCompiling ? "recorded" : undefined);
  say(`engine: ${engine.kind}, ${engine.version} on ${engine.device} (${engine.reason})`, options);
  return engine;
}

/** Opens the engine and prepares the reference of the Fréchet distance. */
export async function openWorkbench(recipe: ResolvedRecipe, options: RunOptions, splits: Splits): Promise<Workbench> {
  const engine = await openNamedEngine(options);
  if (recipe.features.kind === "inception" && !comparesImages(recipe)) {
    return { ...splits, engine, featuresName: "none: no images are compared" };
  }
  const { train } = splits.images;
  const cut = options.limit !== undefined || "images" in recipe.data;
  const full = cut ? (await loadSplits(wholeSet(recipe.data))).images.train : train;
  const features = await openFeatures(recipe.features, full);
  const statistics = await referenceOf(recipe.features, features, train, engine.kind, interruptSignal());
  const reference = frechetReference(statistics, { allowFewSamples: options.limit !== undefined });
  return { ...splits, engine, comparison: { features: features.network, reference }, featuresName: features.name };
}
