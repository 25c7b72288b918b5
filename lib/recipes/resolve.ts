import { nearest, Problem } from "../core/problem.ts";
import { crossFaults } from "./checks.ts";
import { locate, type RecipeDocument } from "./document.ts";
import { explainIssues, type Fault } from "./explain.ts";
import { keysOfKind } from "./keys.ts";
import { deletionsIn, hasPath, isMapping, type Mapping, merge, type Path, pathsOf, valueAt } from "./mapping.ts";
import { recipeSchema } from "./schema.ts";
import type { ResolvedRecipe } from "./types.ts";

/** A piece of a recipe and where it is written: a later layer is a difference from those before it. */
export interface Layer {
  readonly document: RecipeDocument;
  /** The map in the document whose keys are the recipe's. */
  readonly at: Path;
  /** Only these of its keys; all when absent. */
  readonly keys?: readonly string[];
}

/** A change from the command line: which path, and the words that made it. */
export interface Origin {
  readonly path: readonly string[];
  readonly text: string;
}

/**
 * The layers as one map, before it is checked.
 *
 * @throws {Problem} one line with file, line and column, where a `null` finds nothing to delete.
 */
export async function mergeLayers(start: Mapping, layers: readonly Layer[]): Promise<Mapping> {
  let merged = start;
  for (const layer of layers) {
    const difference = valueOf(layer) ?? {}, before = merged;
    const lost = deletionsIn(difference).find((path) => !hasPath(before, path));
    if (lost) throw await problemOf([nothingToDelete(before, lost)], [layer]);
    const known = (path: Path, kind: string) => keysOfKind(recipeSchema, path, kind, before);
    merged = merge(before, difference, known) as Mapping;
  }
  return merged;
}

function nothingToDelete(before: Mapping, path: readonly string[]): Fault {
  const parent = path.slice(0, -1), siblings = valueAt(before, parent);
  const meant = nearest(path.at(-1)!, isMapping(siblings) ? Object.keys(siblings) : []);
  const instead = meant === undefined ? "" : `; did you mean "${[...parent, meant].join(".")}"?`;
  return { path, at: "key", sentence: `expected a value, or for null a key that is there to delete${instead}` };
}

/**
 * Checks a merged recipe and fills in the defaults.
 *
 * @throws {Problem} one line: where the first fault is written, its path, what was expected.
 */
export async function checkRecipe(
  value: Mapping,
  layers: readonly Layer[],
  origins: readonly Origin[] = [],
): Promise<ResolvedRecipe> {
  const parsed = recipeSchema.safeParse(value);
  if (!parsed.success) {
    const known = [...pathsOf(value), ...placesOfParts];
    throw await problemOf(explainIssues(recipeSchema, value, parsed.error.issues, known), layers, origins);
  }
  const recipe: ResolvedRecipe = parsed.data;
  const faults = crossFaults(recipe);
  if (faults.length > 0) throw await problemOf(faults, layers, origins);
  return recipe;
}

/** Paths worth suggesting although a broken recipe may not have them. */
const placesOfParts: readonly (readonly string[])[] = ["teacher", "student"].flatMap((part) => [
  [part, "model"],
  ...["patch", "width"].map((key) => [part, "model", key]),
  ...["samples", "batch", "learningRate", "emaDecay", "labelDropout"].map((key) => [part, "training", key]),
]);

/** The first fault as one line, and how many more there are. */
export async function problemOf(
  faults: readonly Fault[],
  layers: readonly Layer[],
  origins: readonly Origin[] = [],
): Promise<Problem> {
  const { path, sentence, at } = faults[0]!;
  const count = new Set(faults.map((fault) => fault.sentence)).size;
  const place = await placeOf(path, at, layers, origins);
  const rest = count > 1 ? ` (and ${count - 1} more)` : "";
  const name = path.length > 0 ? `${path.map(String).join(".")}: ` : "";
  return new Problem(`${place}: ${name}${sentence}${rest}`);
}

/** `file:line:column`, or the override that wrote it; the nearest parent when nothing is written there. */
async function placeOf(
  path: Path,
  at: "key" | "value",
  layers: readonly Layer[],
  origins: readonly Origin[],
): Promise<string> {
  const steps = path.map(String);
  const origin = origins.findLast((one) => startsWith(steps, one.path) || startsWith(one.path, steps));
  // The recipe as written has passed, so a fault that no override wrote was still caused by them.
  if (origins.length > 0) return origin?.text ?? [...new Set(origins.map(({ text }) => text))].join(" ");
  for (let length = path.length; length >= 0; length--) {
    const part = path.slice(0, length);
    const layer = layers.findLast((one) => isIn(one, part));
    if (layer) return await locate(layer.document, [...layer.at, ...part], length === path.length ? at : "key");
  }
  return "recipe";
}

/** What a layer says of a recipe. */
export function valueOf({ document, at, keys }: Layer): unknown {
  const value = valueAt(document.value, at);
  if (!keys) return value;
  return Object.fromEntries(Object.entries(value as Mapping).filter(([key]) => keys.includes(key)));
}

function isIn(layer: Layer, path: Path): boolean {
  return hasPath(valueOf(layer), path);
}

function startsWith(path: readonly string[], prefix: readonly string[]): boolean {
  return prefix.every((step, i) => path[i] === step);
}
