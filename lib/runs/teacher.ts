import { join } from "node:path";
import { firstDifference } from "../core/difference.ts";
import { exists } from "../core/files.ts";
import { hashFile, hashOf } from "../core/hash.ts";
import { Problem } from "../core/problem.ts";
import { tf } from "../engine/mod.ts";
import type { Dataset } from "../data/types.ts";
import { bindFlow } from "../models/bind.ts";
import type { NormalizingFlow } from "../models/types.ts";
import { readDocument } from "../recipes/document.ts";
import type { RowRecipe, TeacherRecipe } from "../recipes/types.ts";
import { readWeights } from "../training/weights.ts";
import { autoencoderFiles } from "./autoencoder.ts";
import { codeVersion } from "./code_version.ts";
import { withoutPlaces } from "./data_member.ts";
import { flowOf } from "./recipe_models.ts";
import { teacherCode } from "./stage_code.ts";
import type { Stage } from "./stages.ts";
import { keptAverage } from "./train.ts";

/** The stage in which a row's teacher is trained on data of this digest. */
export async function teacherStage({ name, teacher, flips }: RowRecipe, data: string, engine: string): Promise<Stage> {
  const { pretrained: _, ...trained } = teacher;
  const code = await codeVersion(teacherCode(trained.model.kind));
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
      `There is no teacher in ${pretrained}: train one with \`deno task teacher EXPERIMENT\`, or run with --teacher train`,
    );
  }
  const made = (await readDocument(path)).value;
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
