import { join } from "node:path";
import { z } from "zod";
import { firstDifference } from "../core/difference.ts";
import { exists } from "../core/files.ts";
import { hashFile, hashOf } from "../core/hash.ts";
import { readJson } from "../core/json.ts";
import { attempt, Problem } from "../core/problem.ts";
import type { Dataset } from "../data/types.ts";
import * as references from "../models/references.ts";
import type { AutoencoderDefinition } from "../models/types.ts";
import { readDocument } from "../recipes/document.ts";
import type { AutoencoderRecipe, DataRecipe } from "../recipes/types.ts";
import { readWeights } from "../training/weights.ts";
import { codeVersion } from "./code_version.ts";
import { withoutPlaces } from "./data_member.ts";
import { autoencoderOf } from "./recipe_models.ts";
import { readReferenceWeights } from "./reference_weights.ts";
import { autoencoderCode } from "./stage_code.ts";
import type { Stage } from "./stages.ts";
import { keptAverage } from "./train.ts";

/** What is known of a trained autoencoder; `card.json` beside its weights. */
export interface AutoencoderCard {
  readonly data: string;
  readonly trainDigest: string;
  readonly recipeHash: string;
  /** SHA-256 of `autoencoder.safetensors`. */
  readonly weights: string;
  readonly parameters: number;
  readonly latentShape: readonly [number, number, number];
  /** Multiplies latents: 1 over their root mean square on the training set, as Stable Diffusion's 0.18215. */
  readonly scale: number;
  /** Mean standard deviation of the posterior, times `scale`. */
  readonly posteriorStd: number;
  readonly train: ReconstructionCard;
  readonly test: ReconstructionCard;
  readonly engine: string;
  readonly commit: string;
  readonly code: unknown;
  readonly seconds: number;
}

interface ReconstructionCard {
  /** Of a pixel in [-1, 1]. */
  readonly rms: number;
  /** dB. */
  readonly psnr: number;
  /**
   * Of the reconstructions from the training set, under the feature network
   * that the recipe names. The training set's own is the floor of a model of
   * the latents; the test set's stands beside the floor on the network's card.
   */
  readonly frechet: number;
}

/** What is read of a card. */
const cardForm = z.object({ weights: z.string(), scale: z.number() });
type KeptCard = z.infer<typeof cardForm>;

/** A recipe whose autoencoder is trained here, not published. */
export type TrainedAutoencoder = AutoencoderRecipe & { readonly training: NonNullable<AutoencoderRecipe["training"]> };

/** The stage in which an autoencoder is trained on the images of `dataset`. */
export async function autoencoderStage(recipe: TrainedAutoencoder, dataset: Dataset, engine: string): Promise<Stage> {
  const { model, training } = recipe;
  const code = await codeVersion(autoencoderCode(model.kind));
  const key = { model, training, data: dataset.digest, engine, code };
  return { kind: "autoencoder", name: `autoencoder of ${dataset.name}`, key };
}

/** Where the weights of an autoencoder trained in a stage's folder lie. */
export function trainedWeights({ training }: TrainedAutoencoder, folder: string): string {
  return keptAverage(folder, training.samples, training.batch);
}

const fileOf = ({ pretrained }: AutoencoderRecipe, name: string): string => join(pretrained, name);
export const autoencoderFiles = (recipe: AutoencoderRecipe) => ({
  weights: fileOf(recipe, "autoencoder.safetensors"),
  recipe: fileOf(recipe, "recipe.yaml"),
  card: fileOf(recipe, "card.json"),
});

/** What makes an autoencoder, as `recipe.yaml` beside its weights says it; where the images lie is not part of it. */
export function autoencoderRecipe({ model, training }: TrainedAutoencoder, data: DataRecipe): Record<string, unknown> {
  const prepared = withoutPlaces(data);
  return { data: prepared, model, training };
}

/** The weights that a recipe names, `[parameterCount]`, read when they are needed, and what identifies them. */
export interface StoredAutoencoder {
  readonly definition: AutoencoderDefinition;
  /** SHA-256. */
  readonly weights: string;
  readonly scale: number;
  readonly read: () => Promise<Float32Array>;
}

/**
 * Makes sure that the autoencoder kept in a recipe's folder is the one which the recipe describes.
 *
 * @param data the whole image set
 * @param weights SHA-256 of the weights there
 * @throws {Problem} naming the first key in which they differ, or the file that is missing or damaged
 */
async function checkTrained(recipe: TrainedAutoencoder, data: DataRecipe, weights: string): Promise<KeptCard> {
  const files = autoencoderFiles(recipe), { pretrained } = recipe;
  const made = (await readDocument(files.recipe)).value;
  const now = autoencoderRecipe(recipe, data);
  if (hashOf(made) !== hashOf(now)) {
    throw new Problem(
      `The autoencoder in ${pretrained} was made by another recipe (${firstDifference(made, now)}): train this one ` +
        "with `deno task autoencoder EXPERIMENT`, or name another folder in autoencoder.pretrained",
    );
  }
  const restore = "restore it, or train the autoencoder again with `deno task autoencoder EXPERIMENT`";
  const card = await readJson(files.card, (json) => cardForm.parse(json), restore);
  if (card.weights === weights) return card;
  throw new Problem(`Cannot use ${pretrained}: card.json describes other weights than it holds; restore both`);
}

/** Whether a recipe's folder keeps what this very recipe makes of the whole image set `data`. */
export async function keepsAutoencoder(recipe: TrainedAutoencoder, data: DataRecipe): Promise<boolean> {
  const { weights } = autoencoderFiles(recipe);
  if (!await exists(weights)) return false;
  return !(await attempt(async () => await checkTrained(recipe, data, await hashFile(weights))) instanceof Problem);
}

/**
 * Finds the autoencoder that a recipe names and makes sure that it is the one
 * which the recipe describes. Reads no weights.
 *
 * @param data the whole image set
 * @throws {Problem} naming the first key in which they differ, or the file that is missing or damaged
 */
export async function findAutoencoder(
  recipe: AutoencoderRecipe,
  data: DataRecipe,
  images: Dataset,
): Promise<StoredAutoencoder> {
  const files = autoencoderFiles(recipe), { pretrained, training } = recipe;
  if (!await exists(files.weights)) {
    throw new Problem(
      `There is no autoencoder in ${pretrained}: ` +
        (training
          ? "train one with `deno task autoencoder EXPERIMENT`"
          : "put its published weights there as autoencoder.safetensors"),
    );
  }
  const definition = autoencoderOf(recipe, images);
  const weights = await hashFile(files.weights);
  const read = () => readFlat(files.weights, definition, recipe);
  if (!training) return { definition, weights, scale: recipe.scale!, read };
  const card = await checkTrained({ ...recipe, training }, data, weights);
  return { definition, weights, scale: recipe.scale ?? card.scale, read };
}

/** Weights that this project wrote, or Stable Diffusion's as they were published. */
async function readFlat(
  path: string,
  { specs }: AutoencoderDefinition,
  { model: { kind } }: AutoencoderRecipe,
): Promise<Float32Array> {
  if (kind !== "autoencoderKl") return (await readWeights(path, specs)).flat;
  const { layout, flat } = await readReferenceWeights(path, references[kind]);
  const found = new Map(layout.specs.map(({ name, shape }) => [name, shape.join()]));
  const other = specs.find(({ name, shape }) => found.get(name) !== shape.join());
  if (other === undefined && found.size === specs.length) return flat;
  throw new Problem(`Cannot use ${path}: it is an ${layout.model}, and not Stable Diffusion's`);
}
