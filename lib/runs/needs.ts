import { exists } from "../core/files.ts";
import { locate } from "../engine/locate.ts";
import { whereToGetInception } from "../metrics/inception_weights.ts";
import { covarianceRoom } from "../metrics/prior_mismatch.ts";
import { sizeOf } from "../nn/parameters.ts";
import type { ResolvedRecipe } from "../recipes/types.ts";
import { comparesImages, readsImages } from "./asks.ts";
import { autoencoderFiles } from "./autoencoder.ts";
import type { RowPlan } from "./plan.ts";
import { pretrainedWeights } from "./teacher.ts";
import type { OutlinedSplits } from "./workbench.ts";

/** Something that a run reads and does not make. */
export interface Need {
  readonly what: string;
  readonly there: boolean;
  /** Where it lies; or where to get it and where to put it. */
  readonly note: string;
}

/** What a run needs besides its code: images, weights, the engine; and whether it is there. */
export async function needsOf(
  recipe: ResolvedRecipe,
  rows: readonly RowPlan[],
  { inspections }: OutlinedSplits,
): Promise<readonly Need[]> {
  return [
    ...(readsImages(recipe) ? inspections : []).map(({ outline, ready, remarks }): Need => ({
      what: `${outline.name}, ${outline.split}`,
      there: ready,
      note: remarks.join("; "),
    })),
    ...(comparesImages(recipe) ? [await featuresNeed(recipe)] : []),
    ...await autoencoderNeed(recipe),
    ...await teacherNeeds(recipe, rows),
    await engineNeed(),
  ];
}

async function featuresNeed({ features, experiment, scale }: ResolvedRecipe): Promise<Need> {
  if (features.kind === "inception") {
    const there = await exists(features.weights);
    return { what: "Inception weights", there, note: `${features.weights}${there ? "" : `: ${whereToGetInception}`}` };
  }
  const path = `${features.pretrained}/features.safetensors`, there = await exists(path);
  const command = `deno task features ${experiment} --scale ${scale}`;
  return { what: "feature network", there, note: `${path}${there ? "" : `: train it with \`${command}\``}` };
}

async function autoencoderNeed(recipe: ResolvedRecipe): Promise<Need[]> {
  const { autoencoder, experiment, scale } = recipe;
  if (!autoencoder || !readsImages(recipe)) return [];
  const path = autoencoderFiles(autoencoder).weights, there = await exists(path);
  const get = autoencoder.training
    ? `train it with \`deno task autoencoder ${experiment} --scale ${scale}\``
    : "put diffusion_pytorch_model.safetensors (335 MB) of https://huggingface.co/stabilityai/sd-vae-ft-mse there under this name";
  return [{ what: "autoencoder", there, note: there ? path : `${path}: ${get}` }];
}

async function teacherNeeds({ experiment, scale }: ResolvedRecipe, rows: readonly RowPlan[]): Promise<Need[]> {
  const paths = new Set(rows.filter(({ teacher }) => teacher).map(({ row }) => pretrainedWeights(row.teacher)));
  return await Promise.all([...paths].map(async (path) => {
    const there = await exists(path);
    const get =
      `train it with \`deno task teacher ${experiment} --scale ${scale}\`, or in this run with --teacher train`;
    return { what: "teacher", there, note: there ? path : `${path}: ${get}` };
  }));
}

async function engineNeed(): Promise<Need> {
  const library = await locate();
  const note = library
    ? `libtensorflow ${library.version} in ${library.folder}`
    : "fetched by the first run (274 MB), where Python with pip is found";
  return { what: "native engine", there: library !== undefined, note };
}

/** Room that a run takes beside that of its models. */
export interface Room {
  readonly what: string;
  readonly bytes: number;
  readonly where: "on disk" | "of main memory";
}

/** Prepared images say theirs themselves. */
export function roomOf(
  { autoencoder, evaluation, flips, rows }: ResolvedRecipe,
  plans: readonly RowPlan[],
  { splits }: OutlinedSplits,
): readonly Room[] {
  const { train, test } = splits, imageBytes = 4 * sizeOf(train.shape);
  const latents = imageBytes * (train.size * (flips ? 2 : 1) + test.size);
  const assigned = Object.values(rows).some(({ coupling }) => coupling.kind === "semidiscrete");
  const compared = plans.some(({ teacher }) => teacher?.figures.some(({ metric }) => metric === "priorMismatch"));
  const covariance = compared ? covarianceRoom(Math.min(evaluation.images, test.size), sizeOf(test.shape)) : 0;
  const orientations = flips ? "latents, both orientations of each image" : "latents";
  return [
    ...(autoencoder ? [{ what: orientations, bytes: latents, where: "on disk" } as const] : []),
    ...(assigned
      ? [
        {
          what: "the images of the semidiscrete coupling",
          bytes: imageBytes * train.size,
          where: "of main memory",
        } as const,
      ]
      : []),
    ...(covariance > 0
      ? [{ what: "the covariance of the teacher's z", bytes: covariance, where: "of main memory" } as const]
      : []),
  ];
}
