import { attempt, Problem } from "../core/problem.ts";

/** One evaluation of the objective. */
export interface Probe {
  readonly weight: number;
  /** The objective there; Infinity where it was not finite. */
  readonly value: number;
}

export interface GoldenSectionOptions {
  /** Ends of the first bracket, [1, 4] unless said otherwise. */
  readonly bracket?: readonly [number, number];
  /** Times the bracket shrinks by 0.618; 12 in the paper (§4), which takes 13 evaluations. */
  readonly iterations?: number;
  /** Significant digits of `weight`; 2 in the paper. */
  readonly digits?: number;
  /** Called after every evaluation. */
  readonly onProbe?: (probe: Probe, index: number) => void;
}

export interface GoldenSectionResult {
  /** The best weight probed, rounded. */
  readonly weight: number;
  /** What is left of the bracket: 0.618^iterations of the first. */
  readonly bracket: readonly [number, number];
  /** Every evaluation, in order. */
  readonly probes: readonly Probe[];
}

const ratio = (Math.sqrt(5) - 1) / 2;

/**
 * Golden section search for the minimum of a unimodal function (Kiefer 1953;
 * paper §4, for the guidance weight). The first iteration evaluates two points
 * and every other one, so `iterations` + 1 in all. The objective must be the
 * same function at every probe: sample from the same noise and labels.
 *
 * The best probe is always inside the last bracket, so it is the answer, rounded.
 * The ends themselves are never evaluated: with a minimum at the lower end 1 the
 * answer rounds to 1.0. A value that is not finite counts as Infinity, and so does
 * a Problem of exit code 70: samples that are not finite. Ties go to the smaller weight.
 *
 * @throws Problem on an empty bracket, or when no probe has a finite value
 *
 * @example The minimum of a parabola
 * ```ts
 * import { goldenSection } from "./golden_section.ts";
 * import { assertEquals } from "@std/assert";
 * const { weight, probes } = await goldenSection((w) => Promise.resolve((w - 1.75) ** 2));
 * assertEquals([weight, probes.length], [1.8, 13]);
 * ```
 */
export async function goldenSection(
  objective: (weight: number) => Promise<number>,
  options: GoldenSectionOptions = {},
): Promise<GoldenSectionResult> {
  const { bracket = [1, 4], iterations = 12, digits = 2, onProbe } = options;
  let [low, high] = bracket;
  if (!(low < high) || !Number.isInteger(iterations) || iterations < 1) {
    throw new Problem(
      `Cannot search for a weight in [${low}, ${high}] with ${iterations} iterations: ` +
        `expected a bracket of increasing numbers and at least one iteration`,
    );
  }
  const probes: Probe[] = [];
  const probe = async (weight: number): Promise<Probe> => {
    const value = await attempt(() => objective(weight));
    if (value instanceof Problem && value.exitCode !== 70) throw value;
    const result = { weight, value: typeof value === "number" && Number.isFinite(value) ? value : Infinity };
    probes.push(result);
    onProbe?.(result, probes.length - 1);
    return result;
  };
  let left = await probe(high - ratio * (high - low));
  let right = await probe(low + ratio * (high - low));
  for (let iteration = 1;; iteration++) {
    const goesLeft = left.value <= right.value;
    if (goesLeft) high = right.weight;
    else low = left.weight;
    if (iteration === iterations) break;
    if (goesLeft) [left, right] = [await probe(high - ratio * (high - low)), left];
    else [left, right] = [right, await probe(low + ratio * (high - low))];
  }
  const best = probes.reduce((a, b) => b.value < a.value || (b.value === a.value && b.weight < a.weight) ? b : a);
  if (best.value === Infinity) {
    throw new Problem(
      `No guidance weight in [${bracket[0]}, ${
        bracket[1]
      }] gives a finite value: narrow the bracket or check the model`,
      { exitCode: 70 },
    );
  }
  return { weight: Number(best.weight.toPrecision(digits)), bracket: [low, high], probes };
}
