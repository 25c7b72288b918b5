import { join } from "node:path";
import { parse } from "@std/yaml";
import { firstDifference } from "../core/difference.ts";
import { exists, readText } from "../core/files.ts";
import { hashFile, hashOf } from "../core/hash.ts";
import { Problem } from "../core/problem.ts";
import { createRng } from "../core/rng.ts";
import { tf } from "../engine/mod.ts";
import type { Dataset } from "../data/types.ts";
import { bindFlow } from "../models/bind.ts";
import * as flows from "../models/flows.ts";
import type { FlowDefinition, NormalizingFlow } from "../models/types.ts";
import type { RowRecipe, TeacherRecipe } from "../recipes/types.ts";
import { maxLikelihoodBatch, maxLikelihoodLoss } from "../training/max_likelihood.ts";
import { readWeights } from "../training/weights.ts";
import { autoencoderFiles } from "./autoencoder.ts";
import { codeVersion, trainingEntries } from "./code_version.ts";
import { withoutPlaces } from "./data_member.ts";
import type { Stage } from "./stages.ts";
import { epochRows, keptAverage, train } from "./train.ts";

/** The flow that a recipe names, over a dataset's images and classes. */
export function flowOf(
  { model, training: { recompute = false } }: TeacherRecipe,
  { shape, classes }: Dataset,
): FlowDefinition {
  const { kind, ...options } = model;
  return flows[kind]({ ...options, recompute }, shape, classes);
}

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

/** The stage in which a row's teacher is trained on data of this digest. */
export async function teacherStage({ name, teacher, flips }: RowRecipe, data: string, engine: string): Promise<Stage> {
  const { pretrained: _, ...trained } = teacher;
  const code = await codeVersion([{ flow: trained.model.kind }, "training/max_likelihood.ts", ...trainingEntries]);
  return { kind: "teacher", name: `teacher ${name}`, key: { ...trained, data, flips, engine, code } };
}

/** Where the weights of a trained teacher lie. */
export function teacherWeights(recipe: TeacherRecipe, folder: string): string {
  return keptAverage(folder, recipe.training.samples, recipe.training.batch);
}

/** The weights of a committed teacher. */
export const pretrainedWeights = (recipe: TeacherRecipe): string => join(recipe.pretrained, "teacher.safetensors");

/** What makes a teacher, as `recipe.yaml` beside its weights says it; where the images lie is not part of it. */
export async function teacherRecipe(
  { data, autoencoder, flips, teacher }: Pick<RowRecipe, "data" | "autoencoder" | "flips" | "teacher">,
): Promise<Record<string, unknown>> {
  const prepared = withoutPlaces(data);
  const { pretrained: _, ...trained } = teacher;
  const latents = autoencoder && {
    pretrained: autoencoder.pretrained,
    weights: await hashFile(autoencoderFiles(autoencoder).weights),
  };
  return { data: prepared, ...(latents && { autoencoder: latents }), flips, ...trained };
}

/**
 * Makes sure that a committed teacher is the one that the recipe describes: an
 * override of `teacher` without `--teacher train` would otherwise do nothing.
 *
 * @throws {Problem} naming the first key in which they differ, or the file that is missing.
 */
export async function checkPretrained(row: RowRecipe): Promise<void> {
  const { pretrained } = row.teacher;
  const path = join(pretrained, "recipe.yaml");
  if (!await exists(path)) {
    throw new Problem(
      `There is no teacher in ${pretrained}: train one with \`deno task teacher\`, or run with --teacher train`,
    );
  }
  const made = parse(await readText(path)) as Record<string, unknown>;
  const now = await teacherRecipe(row);
  const difference = hashOf(made) === hashOf(now) ? undefined : firstDifference(made, now);
  if (difference === undefined) return;
  throw new Problem(
    `The teacher in ${pretrained} was made by another recipe (${difference}): run with --teacher train to train this one, ` +
      "or name another folder in teacher.pretrained",
  );
}

/** A frozen teacher. The flow is of use until it is disposed. */
export interface LoadedTeacher {
  readonly flow: NormalizingFlow;
  dispose(): void;
}

/** A teacher from the file of its weights. The caller disposes it. */
export async function loadTeacher(recipe: TeacherRecipe, dataset: Dataset, path: string): Promise<LoadedTeacher> {
  const definition = flowOf(recipe, dataset);
  const { flat } = await readWeights(path, definition.specs);
  const vector = tf.tensor1d(flat);
  return { flow: bindFlow(definition, vector), dispose: () => vector.dispose() };
}
