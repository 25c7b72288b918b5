import { join } from "node:path";
import { parse } from "@std/yaml";
import { exists, readText } from "../core/files.ts";
import { hashOf } from "../core/hash.ts";
import { Problem } from "../core/problem.ts";
import { createRng, type Rng } from "../core/rng.ts";
import { tf } from "../engine/mod.ts";
import type { Dataset } from "../data/types.ts";
import { bindFlow } from "../models/bind.ts";
import * as flows from "../models/flows.ts";
import type { FlowDefinition, NormalizingFlow } from "../models/types.ts";
import type { DataRecipe, TeacherRecipe } from "../recipes/types.ts";
import { maxLikelihoodBatch, maxLikelihoodLoss } from "../training/max_likelihood.ts";
import { readWeights } from "../training/weights.ts";
import { firstDifference } from "./stages.ts";
import { keptAverage, train } from "./train.ts";
import { withoutPlaces } from "./workbench.ts";

/** The flow that a recipe names, over a dataset's images and classes. */
export function flowOf({ model }: TeacherRecipe, { shape, classes }: Dataset): FlowDefinition {
  const { kind, ...options } = model;
  return flows[kind](options, shape, classes);
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

/** Where the weights of a trained teacher lie. */
export function teacherWeights(recipe: TeacherRecipe, folder: string): string {
  return keptAverage(folder, recipe.training.samples, recipe.training.batch);
}

/** The weights of a committed teacher. */
export const pretrainedWeights = (recipe: TeacherRecipe): string => join(recipe.pretrained, "teacher.safetensors");

/**
 * Makes sure that a committed teacher is the one that the recipe describes: an
 * override of `teacher` without `--teacher train` would otherwise do nothing.
 *
 * @throws {Problem} naming the first key in which they differ, or the file that is missing.
 */
export async function checkPretrained(recipe: TeacherRecipe, data: DataRecipe, flips: boolean): Promise<void> {
  const { pretrained, ...trained } = recipe;
  const path = join(pretrained, "recipe.yaml");
  if (!await exists(path)) {
    throw new Problem(
      `There is no teacher in ${pretrained}: train one with \`deno task teacher\`, or run with --teacher train`,
    );
  }
  const made = parse(await readText(path)) as Record<string, unknown>;
  const now: Record<string, unknown> = { data: withoutPlaces(data), flips, ...trained };
  const difference = hashOf(made) === hashOf(now) ? undefined : firstDifference(made, now);
  if (difference === undefined) return;
  throw new Problem(
    `The teacher in ${pretrained} was made by another recipe (${difference}): run with --teacher train to train this one, ` +
      "or name another folder in teacher.pretrained",
  );
}

/** A frozen teacher from its file. The flat vector lives as long as the process. */
export async function loadTeacher(recipe: TeacherRecipe, dataset: Dataset, path: string): Promise<NormalizingFlow> {
  const definition = flowOf(recipe, dataset);
  const { flat } = await readWeights(path, definition.specs);
  return bindFlow(definition, tf.tensor1d(flat));
}

/** Rows of the dataset for a step: every epoch goes through all of them once, in an order of its own. */
export function epochRows(size: number, batch: number, step: number, rng: Rng): Int32Array {
  return Int32Array.from({ length: batch }, (_, i) => {
    const position = step * batch + i;
    return orderOf(Math.floor(position / size), size, rng)[position % size]!;
  });
}

// The last two epochs' orders are kept: a batch can straddle them.
const orders = new Map<string, Int32Array>();
function orderOf(epoch: number, size: number, rng: Rng): Int32Array {
  const key = `${epoch} ${size} ${rng.at(0).bits(1)[0]}`;
  let order = orders.get(key);
  if (!order) {
    if (orders.size >= 2) orders.delete(orders.keys().next().value!);
    orders.set(key, order = rng.at(epoch).permutation(size));
  }
  return order;
}
