import { normalize } from "node:path";
import * as z from "zod";
import { exists } from "../core/files.ts";
import { nearest, Problem } from "../core/problem.ts";
import { readDocument, type RecipeDocument } from "./document.ts";
import { explainIssues } from "./explain.ts";
import { applyOverrides } from "./overrides.ts";
import { projectPath } from "./paths.ts";
import { checkRecipe, type Layer, mergeLayers, problemOf } from "./resolve.ts";
import { type ResolvedRecipe, type Scale } from "./types.ts";

/** A recipe file: what all scales share, and each scale's difference from it. */
const difference = z.record(z.string(), z.unknown());
const fileSchema = z.strictObject({
  title: z.string().min(1).describe("What the table shows"),
  version: z.int().min(1).optional().describe("Raised when the meaning of a figure changes"),
  extends: projectPath.optional().describe("Another recipe, from the project's root; this one is a difference from it"),
  base: difference.optional().describe("What every scale shares"),
  scales: z.strictObject({ quick: difference.optional(), desk: difference.optional(), paper: difference.optional() })
    .optional().describe("Each scale's difference from base"),
});

/** A recipe at one scale, and what it was before the command line changed it. */
export interface LoadedRecipe {
  readonly recipe: ResolvedRecipe;
  readonly asWritten: ResolvedRecipe;
  /** What its files say of its keys. */
  readonly layers: readonly Layer[];
}

/**
 * Reads `experiments/<experiment>/recipe.yaml`, or `ablations/<name>.yaml` for the experiment `ablations/<name>`, at a
 * scale, with the command line's overrides.
 *
 * @throws {Problem} one line, with file, line and column, or the override that is at fault.
 */
export async function loadRecipe(
  experiment: string,
  scale: Scale,
  overrides: readonly string[] = [],
): Promise<LoadedRecipe> {
  const file = await recipeFile(experiment);
  return await resolveDocument(await readDocument(file), experiment, scale, overrides);
}

/** The same for a document that is already read. */
export async function resolveDocument(
  document: RecipeDocument,
  experiment: string,
  scale: Scale,
  overrides: readonly string[] = [],
): Promise<LoadedRecipe> {
  const layers = await layersOf(document, scale);
  const merged = await mergeLayers({ experiment, scale }, layers);
  const asWritten = await checkRecipe(merged, layers);
  if (overrides.length === 0) return { recipe: asWritten, asWritten, layers };
  const { value, origins } = applyOverrides(asWritten, overrides);
  return { recipe: await checkRecipe(value, layers, origins), asWritten, layers };
}

/** The names of the experiments, sorted as a reader would: table2 before table10. */
export async function listExperiments(): Promise<readonly string[]> {
  const folders = await namesIn("experiments", (entry) => entry.isDirectory ? entry.name : undefined);
  const recipes = await Promise.all(folders.map((name) => exists(fileOf(name))));
  return folders.filter((_, i) => recipes[i]);
}

/** The names of the ablations: `sigma` is the experiment `ablations/sigma`. */
export async function listAblations(): Promise<readonly string[]> {
  return await namesIn("ablations", ({ name, isFile }) => isFile ? name.match(/^(.+)\.yaml$/)?.[1] : undefined);
}

async function namesIn(folder: string, nameOf: (entry: Deno.DirEntry) => string | undefined): Promise<string[]> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder), nameOf);
    return names.filter((name) => name !== undefined).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Problem(`There is no folder ${folder}/ here; run from the project's root, where deno.json is`);
  }
}

const ablations = "ablations/";

async function recipeFile(experiment: string): Promise<string> {
  const isAblation = experiment.startsWith(ablations);
  const name = isAblation ? experiment.slice(ablations.length) : experiment;
  const known = isAblation ? await listAblations() : await listExperiments();
  if (known.includes(name)) return fileOf(experiment);
  const meant = nearest(name, known);
  const instead = meant === undefined ? `expected one of ${known.join(", ")}` : `did you mean "${meant}"?`;
  throw new Problem(`There is no ${isAblation ? "ablation" : "experiment"} "${name}"; ${instead}`);
}

/** Where the recipe of an experiment, or of the ablation `ablations/<name>`, is written. */
export function fileOf(experiment: string): string {
  return experiment.startsWith(ablations) ? `${experiment}.yaml` : `experiments/${experiment}/recipe.yaml`;
}

/** Recipes above one that it extends, at most. */
const highest = 4;

/** The layers of a recipe at a scale: those of the recipe it extends first. `below` are the files that led here. */
async function layersOf(
  document: RecipeDocument,
  scale: Scale,
  below: readonly string[] = [],
): Promise<readonly Layer[]> {
  const own = await layersOfFile(document, scale);
  if (typeof document.value["extends"] !== "string") return own;
  const parent = normalize(document.value["extends"]), trail = [...below, document.file];
  const refuse = (sentence: string) =>
    problemOf([{ path: ["extends"], sentence, at: "value" }], [{ document, at: [] }]);
  if (!await exists(parent)) {
    throw await refuse(`expected a recipe file from the project's root, but ${parent} does not exist`);
  }
  if (trail.includes(parent)) {
    const circle = [...trail.slice(trail.indexOf(parent)), parent];
    throw await refuse(`expected a recipe that does not extend this one in turn: ${circle.join(" extends ")}`);
  }
  if (trail.length > highest) {
    throw await refuse(`expected at most ${highest} recipes above one: ${[...trail, parent].join(" extends ")}`);
  }
  return [...await layersOf(await readDocument(parent), scale, trail), ...own];
}

async function layersOfFile(document: RecipeDocument, scale: Scale): Promise<readonly Layer[]> {
  const whole: Layer = { document, at: [] };
  const parsed = fileSchema.safeParse(document.value);
  if (!parsed.success) throw await problemOf(explainIssues(fileSchema, document.value, parsed.error.issues), [whole]);
  const { base, scales: differences, extends: parent } = parsed.data;
  if (differences?.[scale] === undefined && parent === undefined) {
    const written = Object.keys(differences ?? {}).join(", ") || "none";
    throw new Problem(`${document.file} has no scale "${scale}"; it has ${written}`);
  }
  return [
    { document, at: [], keys: ["title", "version"] },
    ...(base ? [{ document, at: ["base"] }] : []),
    ...(differences?.[scale] ? [{ document, at: ["scales", scale] }] : []),
  ];
}
