import type { MetricInfo } from "../metrics/types.ts";
import { type Caption, type Figure, type Figures, parseFigureKey, printFigure } from "./figures.ts";
import { noiseBetween } from "./noise.ts";
import { round } from "./rounding.ts";

/** What a figure's change means, best first. */
export const verdicts = ["better", "worse", "within noise", "changed", "new", "gone", "same"] as const;
export type Verdict = typeof verdicts[number];

/** One figure before and after. */
export interface Change {
  /** By `figureKey`. */
  readonly key: string;
  /** A key of `Figures.metrics`. */
  readonly metric: string;
  readonly before?: Figure;
  readonly after?: Figure;
  /** After minus before, at printed precision. */
  readonly difference?: number;
  /** The same over √(s₁² + s₂²); absent where neither side has a standard error above 0. */
  readonly inStandardErrors?: number;
  readonly verdict: Verdict;
}

/** Whether two captions speak of the same quantities, and all that a reader must know of how they differ. */
export interface Comparability {
  /** False where recipe version, data, features or sample count differ: then no difference is better or worse. */
  readonly comparable: boolean;
  /** What differs, a clause each. */
  readonly differences: readonly string[];
}

/**
 * Every figure of two tables: those of `after` in its order, the gone ones
 * where they stood. Values are compared as printed, so that what reads the same
 * is the same. Beyond noise the metric's better direction decides; without
 * standard errors, for any change. Where the captions do not compare, or the
 * metric has no better direction, it is only `changed`.
 */
export function compareFigures(before: Figures, after: Figures): readonly Change[] {
  const { comparable } = compareCaptions(before.caption, after.caption);
  const keys = Object.keys(after.figures);
  const changes = keys.map((key) => compareFigure(key, before, after, comparable));
  const place = new Map(keys.map((key, i) => [key, i]));
  const goneAfter = new Map<number, Change[]>();
  let last = -1;
  for (const [key, figure] of Object.entries(before.figures)) {
    const here = place.get(key);
    if (here !== undefined) last = here;
    else goneAfter.set(last, [...goneAfter.get(last) ?? [], { ...name(key), before: figure, verdict: "gone" }]);
  }
  return [...goneAfter.get(-1) ?? [], ...changes.flatMap((change, i) => [change, ...goneAfter.get(i) ?? []])];
}

/** Compares what stands over two tables. Seeds and guidance differ without making figures incomparable: they are said. */
export function compareCaptions(before: Caption, after: Caption): Comparability {
  const differing = (names: readonly (keyof Caption)[]) =>
    names.filter((name) => text(before[name]) !== text(after[name]))
      .map((name) => `${name} was ${text(before[name])}, is ${text(after[name])}`);
  // A note says that a run was cut short, or something else that its reader must know.
  const decisive = differing(["experiment", "scale", "version", "data", "features", "samples", "notes"]);
  return { comparable: decisive.length === 0, differences: [...decisive, ...differing(["seeds", "guidance"])] };
}

function compareFigure(key: string, before: Figures, after: Figures, comparable: boolean): Change {
  const named = name(key);
  const { metric } = named;
  const [old, now] = [before.figures[key], after.figures[key]!];
  if (!old) return { ...named, after: now, verdict: "new" };
  const [oldInfo, info] = [before.metrics[metric]!, after.metrics[metric]!];
  const [was, is] = [round(old, oldInfo), round(now, info)];
  const digits = [decimals(was.value), decimals(is.value)];
  const difference = Number((Number(is.value) - Number(was.value)).toFixed(Math.max(...digits)));
  const spread = Math.hypot(Number(was.standardError ?? 0), Number(is.standardError ?? 0));
  const inStandardErrors = spread > 0 ? difference / spread : undefined;
  const sameMeaning = comparable && oldInfo.unit === info.unit && oldInfo.better === info.better;
  const same = printFigure(key, old, oldInfo) === printFigure(key, now, info);
  // One in the last digit may be the rounding alone, where a standard error is finer than the digits printed.
  const lastDigit = 10 ** -Math.min(...digits);
  const quiet = inStandardErrors === undefined
    ? difference === 0
    : atMost(Math.abs(inStandardErrors), noiseBetween(spreadOf(old, was), spreadOf(now, is))) ||
      atMost(Math.abs(difference), lastDigit);
  return {
    ...named,
    before: old,
    after: now,
    difference,
    ...(inStandardErrors !== undefined && { inStandardErrors }),
    verdict: same ? "same" : !sameMeaning ? "changed" : quiet ? "within noise" : direction(difference, info),
  };
}

/** The standard error as printed, and the seeds that it is over. */
const spreadOf = ({ perSeed = [] }: Figure, { standardError }: ReturnType<typeof round>) => ({
  standardError: Number(standardError ?? 0),
  perSeed,
});

function direction(difference: number, { better }: MetricInfo): Verdict {
  if (better === "neither") return "changed";
  return difference < 0 === (better === "lower") ? "better" : "worse";
}

/** With a hair of room: 0.3 over 0.15 is 2, whatever binary fractions make of it. */
const atMost = (x: number, limit: number) => x <= limit * (1 + 1e-9);

const name = (key: string) => ({ key, metric: parseFigureKey(key).metric });
const decimals = (text: string) => text.split(".")[1]?.length ?? 0;

const text = (value: Caption[keyof Caption]) => JSON.stringify(value) ?? "absent";
