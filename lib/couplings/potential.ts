import type { Rng } from "../core/rng.ts";
import { turn } from "../core/turn.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { drawsFor } from "./chi_squared.ts";
import { measureMasses, type NoiseSource } from "./masses.ts";
import { nowhere, placePotential, type PointSet } from "./point_set.ts";
import { softShares } from "./soft_assignment.ts";

/** When a fit of the potential is good enough, and what it may cost. */
export interface FitOptions {
  /** Stop when χ² on fresh noise is below this by one standard error. */
  readonly chiSquared: number;
  /** Noise samples a step. */
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
  /** At the last check. */
  chiSquared: number;
  fit?: Fit;
}

const averagingPower = 1;

/**
 * Fits dual potentials g of semidiscrete optimal transport from noise to each
 * set of points, under the cost −⟨x, y⟩ (arXiv 2509.25519, §3): the concave dual
 * ⟨b, g⟩ − E_x[max_j ⟨x, y_j⟩ + g_j] is climbed along b_j − P(j is chosen), one
 * fresh batch of noise a step, the same for all sets.
 *
 * All lengths are in units of the scores' own spread, √(E‖y‖² / 2 ln N), so the
 * settings do not depend on the data's scale. The maximum is smoothed by an
 * entropic ε that falls from one unit as 1/sweeps, and the step as sweeps^−0.6;
 * what is used is the average of the iterates with weights growing as k
 * (polynomial-decay averaging, Shamir and Zhang 2013), which forgets the start
 * and is where the accuracy comes from: the last iterate has several times the χ².
 *
 * A set is done when χ² on noise drawn for that check alone is a standard
 * error below `options.chiSquared`, or when it has used up its draws: `converged` tells.
 */
export async function fitPotentials(
  sets: readonly PointSet[],
  source: NoiseSource,
  options: FitOptions,
  rng: Rng,
  onProgress?: (fraction: number, note: string) => void,
): Promise<Fit[]> {
  const { batchSize } = options;
  const descents = sets.map((points) => start(points, batchSize));
  const active = () => descents.filter(({ fit }) => !fit);
  let note = "fitting the potential";
  // Averaged over n draws a point, the potential's own χ² is about 1/n: no use in looking before.
  let nextCheck = firstCheck(sets, options);
  for (let step = 1; active().length > 0; step++) {
    const rows = source(batchSize, rng.fork("step").at(step));
    for (const descent of active()) await descend(descent, rows, step);
    rows.dispose();
    const drawsPerPoint = step * batchSize / Math.max(...sets.map(({ size }) => size));
    if (step >= nextCheck) {
      await check(active(), step, source, options, rng.fork("check").at(step));
      nextCheck = Math.ceil(step * 1.15);
      const worst = Math.max(...descents.map(({ chiSquared }) => chiSquared));
      const open = active().length;
      note = `${sets.length - open} of ${sets.length} potentials fitted, worst χ² ${worst.toFixed(4)}`;
    }
    onProgress?.(active().length === 0 ? 1 : Math.min(0.99, drawsPerPoint * options.chiSquared / 1.5), note);
    await turn();
  }
  return descents.map(({ fit }) => fit!);
}

function firstCheck(sets: readonly PointSet[], { chiSquared, batchSize, maxDrawsPerPoint }: FitOptions): number {
  const size = Math.min(...sets.map((set) => set.size));
  return Math.max(50, Math.ceil(Math.min(0.8 / chiSquared, maxDrawsPerPoint) * size / batchSize));
}

function start(points: PointSet, batchSize: number): Descent {
  const { size, weights, norms } = points;
  const meanSquare = norms.reduce((sum, norm, j) => sum + weights[j]! * norm ** 2, 0);
  // Where scores are independent, N(0, ‖y_j‖²) exceeds a common level with
  // probability b_j when g_j is about −‖y_j‖·√(2 ln 1/b_j).
  const potential = norms.map((norm, j) =>
    weights[j]! > 0 ? -norm * Math.sqrt(2 * Math.log(1 / weights[j]!)) : nowhere
  );
  return {
    points,
    unit: Math.sqrt(meanSquare / (2 * Math.log(Math.max(size, 2)))) || 1,
    sweep: Math.max(5, size / batchSize),
    potential,
    average: new Float64Array(size),
    chiSquared: Infinity,
  };
}

async function descend({ points, unit, sweep, potential, average }: Descent, rows: Tensor, step: number) {
  const sweeps = step / sweep;
  const placed = placePotential(points, potential);
  const shares = await softShares(points, placed, rows, unit / (1 + sweeps / 4));
  tf.dispose(placed);
  const rate = 0.3 * unit * (1 + sweeps) ** -0.6;
  const fresh = (averagingPower + 1) / (averagingPower + step);
  for (let j = 0; j < points.size; j++) {
    const weight = points.weights[j]!;
    if (weight === 0) continue;
    // Relative to its weight, but a point of hardly any weight takes no giant steps.
    potential[j]! += rate * (weight - shares[j]!) / Math.max(weight, 0.25 / points.size);
    average[j]! += fresh * (potential[j]! - average[j]!);
  }
}

/** Ends the fits that are good enough, or have used up their draws. */
async function check(
  descents: readonly Descent[],
  step: number,
  source: NoiseSource,
  { chiSquared, batchSize, maxDrawsPerPoint }: FitOptions,
  rng: Rng,
) {
  const transports = descents.map(({ points, average }) => ({ points, potential: centred(average, points) }));
  const draws = drawsFor(chiSquared, Math.max(...descents.map(({ points }) => points.size)));
  const masses = await measureMasses(transports, source, draws, rng);
  descents.forEach((descent, i) => {
    descent.chiSquared = masses[i]!.chiSquared;
    // `drawsFor` makes the standard error a fifth of the target.
    const converged = descent.chiSquared <= 0.8 * chiSquared;
    if (!converged && step * batchSize / descent.points.size < maxDrawsPerPoint) return;
    descent.fit = { potential: transports[i]!.potential, iterations: step, chiSquared: descent.chiSquared, converged };
  });
}

/** The potential with mean 0 over the points that have a weight, in float32. */
function centred(potential: Float64Array, { weights }: PointSet): Float32Array {
  let sum = 0, count = 0;
  weights.forEach((weight, j) => {
    if (weight > 0) [sum, count] = [sum + potential[j]!, count + 1];
  });
  return Float32Array.from(potential, (value, j) => weights[j]! > 0 ? value - sum / count : nowhere);
}
