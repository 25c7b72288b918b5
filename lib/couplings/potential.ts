import type { Rng } from "../core/rng.ts";
import { turn } from "../core/turn.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { drawsFor } from "./chi_squared.ts";
import { drawGroups, groupingOf, leadingDirections } from "./leading.ts";
import { measureMasses, type NoiseSource } from "./masses.ts";
import { nowhere, placePotential, type PointSet } from "./point_set.ts";
import { type GroupedNoise, softShares } from "./soft_assignment.ts";

/** When a fit of the potential is good enough, and what it may cost. */
export interface FitOptions {
  /** Stop when χ² on fresh noise is below this by one standard error. */
  readonly chiSquared: number;
  /** Noise samples a step, rounded up to whole groups. */
  readonly batchSize: number;
  /** Give up after so many noise samples a point. */
  readonly maxDrawsPerPoint: number;
}

/** A fitted potential. */
export interface Fit {
  /** `[size]`, with mean 0 over the points that have a weight. */
  readonly potential: Float32Array;
  readonly iterations: number;
  /** χ² at the last check, and whether that was low enough. */
  readonly chiSquared: number;
  readonly converged: boolean;
}

/** One fit as it goes on. */
interface Descent {
  readonly points: PointSet;
  /** The unit of the potential: by so much the greatest of Gaussian scores exceeds the next. */
  readonly unit: number;
  /** Steps that count as one: until every point was drawn once on average, at least five. */
  readonly sweep: number;
  readonly potential: Float64Array;
  readonly average: Float64Array;
  /** Where the points lie along the directions in which a group of samples differs; nothing in few dimensions. */
  readonly ofPoints: readonly Tensor[] | undefined;
  /** The step at which the next check is due. */
  nextCheck: number;
  fit?: Fit;
}

const averagingPower = 0.5;

/**
 * Fits dual potentials g of semidiscrete optimal transport from noise to each
 * set of points, under the cost −⟨x, y⟩ (arXiv 2509.25519, §3): the concave dual
 * ⟨b, g⟩ − E_x[max_j ⟨x, y_j⟩ + g_j] is climbed along b_j − P(j is chosen), one
 * fresh batch of noise a step, the same for all sets, in groups (`groupingOf`).
 *
 * All lengths are in units of the scores' own spread, √(E‖y‖² / 2 ln N), so the
 * settings do not depend on the data's scale. The maximum is smoothed by an
 * entropic ε that falls from one unit as 1/sweeps, and the step as sweeps^−0.6;
 * what is used is the average of the iterates with weights growing as √k
 * (polynomial-decay averaging, Shamir and Zhang 2013), which forgets the start
 * and is where the accuracy comes from: the last iterate has several times the χ².
 *
 * A set is done when χ² on independent noise drawn for that check alone is a standard
 * error below `options.chiSquared`, or when it has used up its draws: `converged` tells.
 */
export async function fitPotentials(
  sets: readonly PointSet[],
  source: NoiseSource,
  options: FitOptions,
  rng: Rng,
  onProgress?: (fraction: number, note: string) => void,
): Promise<Fit[]> {
  const { features } = sets[0]!, grouping = groupingOf(features, options.batchSize);
  const batchSize = grouping.groups * grouping.size, largest = Math.max(...sets.map(({ size }) => size));
  // Sets that are due within a sweep are checked on the same noise.
  const stride = Math.max(10, Math.round(largest / batchSize));
  const { directions } = grouping;
  const leading = directions > 0 ? await leadingDirections(sets, directions, rng.fork("leading")) : undefined;
  const descents = sets.map((points, i) => start(points, batchSize, options, leading?.ofPoints[i]));
  const active = () => descents.filter(({ fit }) => !fit);
  try {
    let note = "fitting the potential";
    for (let step = 1; active().length > 0; step++) {
      const noise = drawGroups(source, features, grouping, leading, rng.fork("step").at(step));
      for (const descent of active()) await descend(descent, noise, step);
      tf.dispose({ ...noise });
      const due = step % stride === 0 ? active().filter(({ nextCheck }) => step >= nextCheck) : [];
      if (due.length > 0) {
        const worst = await check(due, step, step * batchSize, source, options, rng.fork("check").at(step));
        note = `${sets.length - active().length} of ${sets.length} potentials fitted, last at χ² ${worst.toFixed(4)}`;
      }
      const expected = 1.5 / options.chiSquared * largest / batchSize;
      onProgress?.(active().length === 0 ? 1 : Math.min(0.99, step / expected), note);
      await turn();
    }
  } finally {
    leading?.dispose();
  }
  return descents.map(({ fit }) => fit!);
}

/** What χ² has to be on a check's noise: `drawsFor` makes its standard error a fifth of the target. */
const enough = ({ chiSquared }: FitOptions) => 0.8 * chiSquared;

function start(
  points: PointSet,
  batchSize: number,
  options: FitOptions,
  ofPoints: readonly Tensor[] | undefined,
): Descent {
  const { size, weights, norms } = points, sweep = size / batchSize;
  const meanSquare = norms.reduce((sum, norm, j) => sum + weights[j]! * norm ** 2, 0);
  return {
    points,
    unit: Math.sqrt(meanSquare / (2 * Math.log(Math.max(size, 2)))) || 1,
    sweep: Math.max(5, sweep),
    // Where scores are independent, N(0, ‖y_j‖²) exceeds a common level with
    // probability b_j when g_j is about −‖y_j‖·√(2 ln 1/b_j).
    potential: norms.map((norm, j) => weights[j]! > 0 ? -norm * Math.sqrt(2 * Math.log(1 / weights[j]!)) : nowhere),
    average: new Float64Array(size),
    ofPoints,
    // Averaged over n draws a point, the potential's own χ² is about 1/n: no use in looking before.
    nextCheck: Math.max(50, Math.min(1 / enough(options), options.maxDrawsPerPoint) * sweep),
  };
}

async function descend(descent: Descent, noise: GroupedNoise, step: number) {
  const { points, unit, sweep, potential, average } = descent, sweeps = step / sweep;
  const placed = placePotential(points, potential), epsilon = unit / (1 + sweeps / 4);
  const shares = await softShares(points, placed, noise, epsilon, { ofPoints: descent.ofPoints });
  tf.dispose(placed);
  // A hit lowers its point by about rate · sweep, which must not be many units however rarely a point is hit.
  const rate = Math.min(0.3, 3.5 / sweep) * unit * (1 + sweeps) ** -0.6;
  const fresh = (averagingPower + 1) / (averagingPower + step);
  for (let j = 0; j < points.size; j++) {
    const weight = points.weights[j]!;
    if (weight === 0) continue;
    // Relative to its weight, but a point of hardly any weight takes no giant steps.
    potential[j]! += rate * (weight - shares[j]!) / Math.max(weight, 0.25 / points.size);
    average[j]! += fresh * (potential[j]! - average[j]!);
  }
}

/** Ends the fits that are good enough, or have used up their draws; of the others, says when to look again. Gives the greatest χ². */
async function check(
  descents: readonly Descent[],
  step: number,
  used: number,
  source: NoiseSource,
  options: FitOptions,
  rng: Rng,
): Promise<number> {
  const transports = descents.map(({ points, average }) => ({ points, potential: centred(average, points) }));
  const draws = drawsFor(options.chiSquared, Math.max(...descents.map(({ points }) => points.size)));
  const masses = await measureMasses(transports, source, draws, rng);
  descents.forEach((descent, i) => {
    const { chiSquared } = masses[i]!, converged = chiSquared <= enough(options);
    const left = options.maxDrawsPerPoint * descent.points.size / used;
    // χ² falls about as 1/steps, and is known to a fifth.
    descent.nextCheck = step * Math.min(left, 1.5, Math.max(1.1, chiSquared / enough(options)));
    if (!converged && left > 1) return;
    descent.fit = { potential: transports[i]!.potential, iterations: step, chiSquared, converged };
  });
  return Math.max(...masses.map(({ chiSquared }) => chiSquared));
}

/** The potential with mean 0 over the points that have a weight, in float32. */
function centred(potential: Float64Array, { weights }: PointSet): Float32Array {
  let sum = 0, count = 0;
  weights.forEach((weight, j) => {
    if (weight > 0) [sum, count] = [sum + potential[j]!, count + 1];
  });
  return Float32Array.from(potential, (value, j) => weights[j]! > 0 ? value - sum / count : nowhere);
}
