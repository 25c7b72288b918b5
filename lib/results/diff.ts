import { firstDifference } from "../core/difference.ts";
import { hashOf } from "../core/hash.ts";
import { attempt, Problem } from "../core/problem.ts";
import { parseRecipeText } from "../recipes/document.ts";
import { type Change, type Comparability, compareCaptions, compareFigures, type Verdict, verdicts } from "./compare.ts";
import type { Figures } from "./figures.ts";
import { checkpointsOf, paperFigure, type PaperFigures, readPaper } from "./paper.ts";
import { staleness } from "./stale.ts";
import { byPlace, readResults, type Result, type Source } from "./tree.ts";

/** A change, beside what the paper published. */
export interface PaperChange extends Change {
  /** The paper's figure in the same place of the table. */
  readonly paper?: number;
}

/** One result on two sides; absent on the side that does not have it. */
export interface ResultDiff {
  readonly place: string;
  readonly before?: Result;
  readonly after?: Result;
  readonly captions: Comparability;
  /** The first key in which the two recipes differ. */
  readonly recipe?: string;
  /** Why a side is not what the recipe would give today. */
  readonly stale: { readonly before?: string; readonly after?: string };
  readonly changes: readonly PaperChange[];
}

/** Two sources compared. */
export interface Diff {
  readonly before: Source;
  readonly after: Source;
  readonly results: readonly ResultDiff[];
  /** What could not be read, a sentence each. */
  readonly faults: readonly string[];
}

/**
 * Compares every result of two sources, place by place. The folder of a single
 * run is compared with the result that it is a variant of.
 *
 * @throws {Problem} when a single run has nothing to be compared with.
 */
export async function diffSources(before: Source, after: Source): Promise<Diff> {
  const [old, now] = [await readResults(before), await readResults(after)];
  const faults = [...old.faults, ...now.faults];
  const papers = new Map<string, PaperFigures | undefined>();
  const paperOf = async (experiment: string) => {
    if (!papers.has(experiment)) {
      const paper = await attempt(() => readPaper(experiment));
      if (paper instanceof Problem) faults.push(paper.message);
      papers.set(experiment, paper instanceof Problem ? undefined : paper);
    }
    return papers.get(experiment);
  };
  const results: ResultDiff[] = [];
  for (const pair of pairs(before, old.results, after, now.results)) results.push(await diffResult(pair, paperOf));
  return { before, after, results, faults };
}

/** How often each verdict was given, in their order. */
export function countVerdicts(results: readonly Pick<ResultDiff, "changes">[]): Readonly<Record<Verdict, number>> {
  const counts = Object.fromEntries(verdicts.map((verdict) => [verdict, 0])) as Record<Verdict, number>;
  for (const { changes } of results) changes.forEach(({ verdict }) => counts[verdict]++);
  return counts;
}

type Pair = Pick<ResultDiff, "place" | "before" | "after">;

function pairs(before: Source, old: readonly Result[], after: Source, now: readonly Result[]): readonly Pair[] {
  const [oneOld, oneNow] = [single(old), single(now)];
  if (oneOld && oneNow) return [{ place: oneNow.path, before: oneOld, after: oneNow }];
  if (oneOld) return [{ place: oneOld.path, before: oneOld, after: partner(oneOld, now, after) }];
  if (oneNow) return [{ place: oneNow.path, before: partner(oneNow, old, before), after: oneNow }];
  const places = [...new Set([...old, ...now].map(({ place }) => place))].sort(byPlace);
  return places.map((place) => {
    const [left, right] = [old, now].map((results) => results.find((result) => result.place === place));
    return { place, ...(left && { before: left }), ...(right && { after: right }) };
  });
}

const single = (results: readonly Result[]) =>
  results.length === 1 && results[0]!.place === "." ? results[0] : undefined;

/** The result that a run is a variant of: the same place, but for the hash of its overrides; else what its caption says. */
function partner(run: Result, results: readonly Result[], source: Source): Result {
  const { experiment, scale } = run.figures.caption;
  const home = run.path.replaceAll("\\", "/").replace(/-[0-9a-f]{8}$/, "");
  const found = results.find(({ place }) => home.endsWith(`/${place}`)) ??
    results.find(({ place }) => place === `${experiment}/${scale}`);
  if (found) return found;
  throw new Problem(`${source.name} has no ${experiment}/${scale} to compare ${run.path} with`);
}

async function diffResult(
  { place, before, after }: Pair,
  paperOf: (experiment: string) => Promise<PaperFigures | undefined>,
): Promise<ResultDiff> {
  const old = before?.figures ?? without(after!.figures), now = after?.figures ?? without(before!.figures);
  const stale = { before: before && await staleness(before), after: after && await staleness(after) };
  const recipe = before && after && await recipeDifference(before, after);
  const paper = await paperOf(now.caption.experiment);
  return {
    place,
    ...(before && { before }),
    ...(after && { after }),
    captions: compareCaptions(old.caption, now.caption),
    ...(recipe !== undefined && { recipe }),
    stale: {
      ...(stale.before !== undefined && { before: stale.before }),
      ...(stale.after !== undefined && { after: stale.after }),
    },
    changes: compareFigures(old, now).map((change) => besidePaper(change, change.after ? now : old, paper)),
  };
}

const without = (figures: Figures): Figures => ({ ...figures, figures: {} });

function besidePaper(change: Change, figures: Figures, paper: PaperFigures | undefined): PaperChange {
  const published = paper && paperFigure(paper, change.key, checkpointsOf(figures));
  return published === undefined ? change : { ...change, paper: published };
}

async function recipeDifference(before: Result, after: Result): Promise<string | undefined> {
  const [old, now] = [await recipeOf(before), await recipeOf(after)];
  return old && now && hashOf(old) !== hashOf(now) ? firstDifference(old, now) : undefined;
}

async function recipeOf({ path, resolved }: Result): Promise<unknown> {
  if (resolved === undefined) return undefined;
  const document = await attempt(() => parseRecipeText(`${path}/resolved.yaml`, resolved));
  return document instanceof Problem ? undefined : document.value;
}
