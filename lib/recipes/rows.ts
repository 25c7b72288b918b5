import * as z from "zod";
import type { Fault } from "./explain.ts";
import { explainIssues } from "./explain.ts";
import { keysOfKind } from "./keys.ts";
import { type Mapping, merge } from "./mapping.ts";
import { recipeSchema, rowParts } from "./schema.ts";
import type { ResolvedRecipe, RowRecipe } from "./types.ts";

const parts = z.strictObject(rowParts);

/** The rows of a recipe, in its order, each with its differences merged in. */
export function rowRecipes(recipe: ResolvedRecipe): readonly RowRecipe[] {
  return Object.keys(recipe.rows).map((name) => rowRecipe(recipe, name));
}

/** One row with its differences merged in. The recipe has been checked, so this cannot fail. */
export function rowRecipe(recipe: ResolvedRecipe, name: string): RowRecipe {
  const row = recipe.rows[name];
  if (!row) throw new TypeError(`Cannot find row "${name}" in ${recipe.experiment}`);
  const { flips, teacher, student } = parts.parse(mergedParts(recipe, row)) as Pick<RowRecipe, keyof typeof rowParts>;
  const { evaluation, data, autoencoder } = recipe;
  return {
    name,
    data,
    ...(autoencoder && { autoencoder }),
    flips,
    teacher,
    student,
    coupling: row.coupling,
    metrics: row.metrics ?? evaluation.metrics,
    checkpoints: student.checkpoints ?? evaluation.checkpoints,
  };
}

/** What is wrong with a row once its differences are merged in. */
export function rowFaults(recipe: ResolvedRecipe, name: string): readonly Fault[] {
  const merged = mergedParts(recipe, recipe.rows[name]!);
  const result = parts.safeParse(merged);
  if (result.success) return [];
  const known = Object.keys(rowParts).map((part) => [part]);
  return explainIssues(parts, merged, result.error.issues, known).map((fault) => ({
    ...fault,
    path: ["rows", name, ...fault.path],
    sentence: fault.sentence.replace('did you mean "', `did you mean "rows.${name}.`),
  }));
}

function mergedParts(recipe: ResolvedRecipe, row: ResolvedRecipe["rows"][string]): Mapping {
  const { teacher, student, flips } = recipe;
  const { coupling: _, metrics: __, ...difference } = row;
  const known = (path: readonly PropertyKey[], kind: string) => keysOfKind(recipeSchema, path, kind, recipe);
  return merge({ flips, teacher, student }, difference, known) as Mapping;
}
