import { stringify } from "@std/yaml";
import { z } from "zod";
import { exists, writeFileAtomic } from "../core/files.ts";
import { hashOf } from "../core/hash.ts";
import { readJson, readJsonIfSound } from "../core/json.ts";
import { Problem } from "../core/problem.ts";
import type { Dataset } from "../data/types.ts";
import type { Engine } from "../engine/mod.ts";
import { parameterCount } from "../nn/parameters.ts";
import { readSafetensors, type StoredTensor, writeSafetensors } from "../training/safetensors.ts";
import { accuracyOf, type FeatureRecipe } from "./feature_training.ts";
import { type Classifier, classify, createClassifier, featureParameters, featureWidth } from "./classifier.ts";
import { extractFeatures } from "./features.ts";
import { frechetMeasurement, frechetReference } from "./frechet.ts";
import { statisticsOf } from "./statistics.ts";
import type { Measurement } from "./types.ts";

/** What is known of a trained feature network; `card.json` beside its weights. */
export interface FeatureCard {
  readonly data: string;
  readonly trainDigest: string;
  readonly testDigest: string;
  readonly recipeHash: string;
  readonly networkDigest: string;
  readonly parameterCount: number;
  readonly trainAccuracy: number;
  readonly testAccuracy: number;
  /** Fréchet distance of the whole test set to the training set: what perfect samples of that number would get. */
  readonly floor: Measurement;
  readonly engine: string;
}

const cardForm: z.ZodType<FeatureCard> = z.object({
  data: z.string(),
  trainDigest: z.string(),
  testDigest: z.string(),
  recipeHash: z.string(),
  networkDigest: z.string(),
  parameterCount: z.number(),
  trainAccuracy: z.number(),
  testAccuracy: z.number(),
  floor: z.object({ value: z.number(), standardError: z.number().exactOptional(), sampleCount: z.number() }),
  engine: z.string(),
});

const files = { weights: "features.safetensors", recipe: "recipe.yaml", card: "card.json" };

/** Where the committed network for `data` lies, from the project's root: `results/features/fashion-mnist-16`. */
export function featureFolder({ kind, size }: FeatureRecipe["data"]): string {
  return `results/features/${kind.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}-${size}`;
}

/** Whether `folder` keeps a network that this very recipe made. */
export async function keepsFeatureArtifact(folder: string, recipe: FeatureRecipe): Promise<boolean> {
  if (!await exists(`${folder}/${files.weights}`)) return false;
  const card = await readJsonIfSound(`${folder}/${files.card}`, (json) => cardForm.parse(json));
  return card?.recipeHash === hashOf(recipe);
}

/**
 * Measures a network that `recipe` has trained and writes weights, recipe and card into `folder`.
 *
 * @param sets both splits of the recipe's data
 * @throws {Problem} when the disk refuses
 */
export async function keepFeatureArtifact(
  folder: string,
  recipe: FeatureRecipe,
  sets: { readonly train: Dataset; readonly test: Dataset },
  network: Classifier,
  engine: Engine,
): Promise<FeatureCard> {
  const card: FeatureCard = {
    data: sets.train.name,
    trainDigest: sets.train.digest,
    testDigest: sets.test.digest,
    recipeHash: hashOf(recipe),
    networkDigest: network.digest,
    parameterCount: parameterCount(featureParameters(network.shape, network.classes)),
    ...await measureNetwork(network, sets),
    engine: engine.version,
  };
  await saveFeatureNetwork(`${folder}/${files.weights}`, network, { data: card.data, recipeHash: card.recipeHash });
  await writeFileAtomic(`${folder}/${files.recipe}`, stringify({ ...recipe }));
  await writeFileAtomic(`${folder}/${files.card}`, `${JSON.stringify(card, null, 2)}\n`);
  return card;
}

/**
 * The network that `keepFeatureArtifact` left in `folder`, for images of the training set `train`.
 *
 * @throws {Problem} if it is missing, damaged, or was trained on other images
 */
export async function openFeatureArtifact(
  folder: string,
  train: Dataset,
): Promise<{ readonly network: Classifier; readonly card: FeatureCard }> {
  const restore = "restore it, or train the network again with `deno task features EXPERIMENT`";
  const card = await readJson(`${folder}/${files.card}`, (json) => cardForm.parse(json), restore);
  if (card.trainDigest !== train.digest) {
    throw new Problem(
      `Cannot measure ${train.name} with ${folder}: its feature network was trained on ${card.data} ` +
        `(digest ${card.trainDigest.slice(0, 12)}, these images have ${train.digest.slice(0, 12)}); ` +
        "name another folder in features.pretrained, or train one with `deno task features EXPERIMENT`",
    );
  }
  const network = await loadFeatureNetwork(`${folder}/${files.weights}`);
  if (network.digest === card.networkDigest) return { network, card };
  network.dispose();
  throw new Problem(
    `Cannot use ${folder}: ${files.card} describes other weights than ${files.weights} holds; restore both`,
  );
}

/** Writes a network as safetensors; `metadata` says what it was trained on. */
export async function saveFeatureNetwork(
  path: string,
  { shape, classes, parameters }: Classifier,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const tensors: [string, StoredTensor][] = [];
  for (const spec of featureParameters(shape, classes)) {
    tensors.push([spec.name, { shape: spec.shape, data: await parameters[spec.name]!.data<"float32">() }]);
  }
  await writeSafetensors(path, tensors, { ...metadata, shape: shape.join("x"), classes: String(classes) });
}

/**
 * Reads what `saveFeatureNetwork` wrote.
 *
 * @throws {Problem} if the file is missing, damaged, or holds something else
 */
export async function loadFeatureNetwork(path: string): Promise<Classifier> {
  const { tensors, metadata } = await readSafetensors(path);
  const [channels, height, width] = (metadata.shape ?? "").split("x").map(Number);
  const shape = [channels ?? NaN, height ?? NaN, width ?? NaN] as const, classes = Number(metadata.classes);
  const isNetwork = [...shape, classes].every((n) => Number.isInteger(n) && n > 0);
  const specs = isNetwork ? featureParameters(shape, classes) : [];
  const stored = specs.map((spec) => tensors.get(spec.name));
  if (!isNetwork || stored.some((tensor, i) => tensor?.shape.join() !== specs[i]!.shape.join())) {
    throw new Problem(
      `Cannot use ${path}: it holds no feature network of this version; train one with \`deno task features EXPERIMENT\``,
    );
  }
  const values = new Float32Array(parameterCount(specs));
  let at = 0;
  for (const tensor of stored) {
    values.set(tensor!.data, at);
    at += tensor!.data.length;
  }
  return createClassifier(shape, classes, values);
}

async function measureNetwork(
  network: Classifier,
  { train, test }: { readonly train: Dataset; readonly test: Dataset },
): Promise<Pick<FeatureCard, "trainAccuracy" | "testAccuracy" | "floor">> {
  const seen = await extractFeatures(network, train), unseen = await extractFeatures(network, test);
  const reference = frechetReference(statisticsOf(seen, featureWidth));
  const { value, standardError, sampleCount } = frechetMeasurement(unseen, reference);
  const rounded = (x: number) => Number(x.toFixed(4));
  return {
    trainAccuracy: rounded(accuracyOf(train, await classify(network, seen))),
    testAccuracy: rounded(accuracyOf(test, await classify(network, unseen))),
    floor: { value: rounded(value), standardError: rounded(standardError!), sampleCount },
  };
}
