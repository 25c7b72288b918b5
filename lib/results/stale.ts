import { firstDifference } from "../core/difference.ts";
import { hashOf } from "../core/hash.ts";
import { attempt, Problem } from "../core/problem.ts";
import { parseRecipeText } from "../recipes/document.ts";
import { loadRecipe } from "../recipes/load.ts";
import { readResolved } from "../recipes/print.ts";
import { type Scale, scales } from "../recipes/types.ts";
import type { Result } from "./tree.ts";

/**
 * Whether a result is what its recipe, as it stands in the working tree, would
 * give: `undefined`, or why not, as a clause. A key that the schema has gained
 * since makes nothing stale where the recipe leaves it at its default: a default
 * is what was done before there was the key.
 */
export async function staleness(
  result: Pick<Result, "figures" | "provenance" | "resolved" | "path">,
): Promise<string | undefined> {
  const { figures: { caption }, provenance, resolved, path } = result;
  const { experiment, scale, version } = caption;
  if (!provenance) return "nothing says which recipe made it: it has no provenance.json that can be read";
  if (!(scales as readonly string[]).includes(scale)) return `there is no scale "${scale}" any more`;
  const now = await attempt(() => loadRecipe(experiment, scale as Scale, provenance.overrides));
  if (now instanceof Problem) return `its recipe no longer resolves: ${now.message}`;
  const { recipe } = now;
  if (hashOf(recipe) === provenance.recipe) return undefined;
  if (recipe.version !== version) return `the recipe's version was ${version}, is ${recipe.version}`;
  if (resolved === undefined) return "the recipe changed";
  const file = `${path}/resolved.yaml`;
  const written = await attempt(() => parseRecipeText(file, resolved));
  if (written instanceof Problem) return `its recipe cannot be read: ${written.message}`;
  if (hashOf(written.value) !== provenance.recipe) {
    return "its resolved.yaml is not the recipe that its provenance names";
  }
  const completed = await attempt(() => readResolved(file, resolved));
  // What the schema no longer takes is compared as it was written.
  const then = completed instanceof Problem ? written.value : completed;
  return hashOf(then) === hashOf(recipe) ? undefined : firstDifference(then, recipe);
}
