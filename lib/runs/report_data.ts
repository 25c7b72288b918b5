import { exists, readText } from "../core/files.ts";
import { attempt, Problem } from "../core/problem.ts";
import { parseRecipeText, readDocument, type RecipeDocument } from "../recipes/document.ts";
import { excerpt } from "../recipes/excerpt.ts";
import { fileOf } from "../recipes/load.ts";
import { hasPath, isMapping } from "../recipes/mapping.ts";
import { scales } from "../recipes/types.ts";
import { openPicture } from "../reports/html/picture.tsx";
import type { ExperimentReport, Picture, ResultReport, RowSource } from "../reports/html/types.ts";
import { type Environment, environmentFolders, parseEnvironment } from "../results/environment.ts";
import { readPaper } from "../results/paper.ts";
import { parsePictures, type PictureRows } from "../results/pictures.ts";
import { staleness } from "../results/stale.ts";
import { readResults, type Result, type Source } from "../results/tree.ts";

/** The kinds of experiment in the order of the page; what is none of them stands before the ablations. */
const order = [/^table/, /^figure/, /^(?!ablations\/)/, /^ablations\//];

/** What the page shows of the results in `source`, the working tree's: all, or those of the experiments named. */
export async function gatherExperiments(
  source: Source,
  names: readonly string[],
): Promise<{ readonly experiments: readonly ExperimentReport[]; readonly faults: readonly string[] }> {
  const { results, faults: unread } = await readResults(source);
  const faults = [...unread];
  const byExperiment = Map.groupBy(results, ({ place }) => experimentOf(place));
  const experiments: ExperimentReport[] = [];
  for (const name of inOrder([...byExperiment.keys()])) {
    if (!isNamed(name, names)) continue;
    const members = byExperiment.get(name)!.toSorted((a, b) => scaleRank(b) - scaleRank(a));
    const claim = await readClaim(name);
    const reports: ResultReport[] = [];
    for (const result of members) reports.push(await resultReport(source, result, faults));
    experiments.push({
      name,
      title: members[0]!.figures.caption.title,
      ...(claim !== undefined && { claim }),
      results: reports,
    });
  }
  return { experiments, faults };
}

/** `table4` of `table4/desk`, `ablations/x` of `ablations/x/desk`. */
export function experimentOf(place: string): string {
  return place.split("/").slice(0, -1).join("/") || place;
}

/** Whether a name on the command line means this experiment: its whole name, or its last part. */
export function isNamed(experiment: string, names: readonly string[]): boolean {
  return names.length === 0 || names.some((name) => name === experiment || experiment.endsWith(`/${name}`));
}

function inOrder(names: readonly string[]): readonly string[] {
  const rank = (name: string) => order.findIndex((pattern) => pattern.test(name));
  return names.toSorted((a, b) => rank(a) - rank(b) || a.localeCompare(b, "en", { numeric: true }));
}

function scaleRank({ figures: { caption } }: Result): number {
  return (scales as readonly string[]).indexOf(caption.scale);
}

/** What cannot be read beside the figures is left out and added to `faults`. */
async function resultReport(source: Source, result: Result, faults: string[]): Promise<ResultReport> {
  const { place, figures, provenance, files } = result;
  const tried = async <T>(make: () => T | Promise<T>): Promise<T | undefined> => {
    const made = await attempt(make);
    if (!(made instanceof Problem)) return made;
    faults.push(made.message);
    return undefined;
  };
  const paper = await tried(() => readPaper(figures.caption.experiment));
  const environment = provenance && await tried(() => readEnvironment(source, provenance.environment));
  const stale = await staleness(result);
  const pictures: Picture[] = [];
  const sheets = files.includes("pictures.json") ? await tried(() => readPictures(source, place)) : undefined;
  for (const file of files.filter((file) => /\.(svg|png)$/.test(file))) {
    const picture = await tried(async () =>
      openPicture(place, file, await source.read(`${place}/${file}`), sheets?.[file])
    );
    if (picture) pictures.push(picture);
  }
  return {
    name: place,
    figures,
    ...(paper && { paper }),
    ...(provenance && { provenance }),
    ...(environment && { environment }),
    ...(stale !== undefined && { stale }),
    commands: commandsOf(result),
    rows: await tried(() => rowSources(result)) ?? {},
    pictures,
  };
}

async function readPictures(source: Source, place: string): Promise<PictureRows> {
  const file = `${place}/pictures.json`;
  return parsePictures(source.nameOf(file), new TextDecoder().decode(await source.read(file)));
}

async function readEnvironment(source: Source, hash: string): Promise<Environment | undefined> {
  const file = `environments/${hash}.json`, own = `${environmentFolders.own}/${hash}.json`;
  if (source.files.includes(file)) {
    return parseEnvironment(source.nameOf(file), new TextDecoder().decode(await source.read(file)));
  }
  return await exists(own) ? parseEnvironment(own, await readText(own)) : undefined;
}

/** Where each row of a result's recipe is written, in the recipe's file and in its own `resolved.yaml`. */
async function rowSources({ path, resolved, figures }: Result): Promise<Readonly<Record<string, RowSource>>> {
  if (resolved === undefined) return {};
  const { value } = await parseRecipeText(`${path}/resolved.yaml`, resolved);
  const rows = isMapping(value["rows"]) ? Object.keys(value["rows"]) : [];
  const { experiment, scale } = figures.caption;
  const documents = await recipeDocuments(experiment);
  const sources: Record<string, RowSource> = {};
  for (const row of rows) {
    const found = await excerpt(resolved, ["rows", row]);
    if (!found) continue;
    const written = await placeOfRow(documents, scale, row);
    sources[row] = {
      ...(written !== undefined && { written }),
      resolved: `${path}/resolved.yaml:${found.line}`,
      text: found.text,
    };
  }
  return sources;
}

/** The files of a recipe, the one with the last word first. */
async function recipeDocuments(experiment: string): Promise<readonly RecipeDocument[]> {
  const documents: RecipeDocument[] = [];
  for (let file: unknown = fileOf(experiment); typeof file === "string" && await exists(file);) {
    const document = await readDocument(file);
    if (documents.some(({ file }) => file === document.file)) break; // a recipe that extends itself is no longer one
    documents.push(document);
    file = document.value["extends"];
  }
  return documents;
}

async function placeOfRow(
  documents: readonly RecipeDocument[],
  scale: string,
  row: string,
): Promise<string | undefined> {
  for (const { file, text, value } of documents) {
    for (const path of [["scales", scale, "rows", row], ["base", "rows", row]]) {
      if (hasPath(value, path)) return `${file}:${(await excerpt(text, path))?.line}`;
    }
  }
  return undefined;
}

/** The lines that make a result again. */
function commandsOf({ figures: { caption }, provenance }: Result): readonly string[] {
  const engine = provenance?.engine.match(/\((native|wasm)\)/)?.[1];
  const [, ablation] = caption.experiment.match(/^ablations\/(.+)$/) ?? [];
  const run = [
    `deno task nfm ${ablation === undefined ? `run ${caption.experiment}` : `ablate ${ablation}`}`,
    `--scale ${caption.scale}`,
    ...(engine === undefined ? [] : [`--engine ${engine}`]),
    ...(provenance?.teacher === undefined ? [] : [`--teacher ${provenance.teacher}`]),
    ...(provenance?.overrides ?? []).map(quoted),
  ].join(" ");
  const [commit, dirty] = provenance?.commit.split("+") ?? [];
  if (commit === undefined || commit === "unknown") return [run];
  return [`git checkout ${commit}${dirty === undefined ? "" : "  # and changes that no commit holds"}`, run];
}

/** A word as a POSIX shell takes it. */
function quoted(word: string): string {
  return /^[\w=.,+:/~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The claim that an experiment's README opens with, as plain text. */
async function readClaim(experiment: string): Promise<string | undefined> {
  const file = `experiments/${experiment}/README.md`;
  if (!await exists(file)) return undefined;
  const [, claim] = (await readText(file)).match(/^\*\*Claim\*\*\s*(.*?)(?:\n\s*\n|$(?![\s\S]))/ms) ?? [];
  return claim?.replace(/^\((.*?)\)\.\s*/, "($1): ").replace(/\s+/g, " ").replace(/\*\*|`/g, "").trim();
}
