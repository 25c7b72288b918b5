import type { Rng } from "../core/rng.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { assign, type Assignment } from "./assignment.ts";
import { chiSquared } from "./chi_squared.ts";
import { widthOf } from "./features.ts";
import { placePotential, type PointSet } from "./point_set.ts";

/** Fresh noise, as `noiseRows` `[count · views, width]`. */
export type NoiseSource = (count: number, rng: Rng) => Tensor;

/** A set of points with a dual potential `[size]`. */
export interface Transport {
  readonly points: PointSet;
  readonly potential: ArrayLike<number>;
}

/** What an assignment does to fresh noise. */
export interface Masses {
  readonly draws: number;
  /** `[size]`: how often each point (or its mirror image) was hit. */
  readonly hits: Float64Array;
  readonly chiSquared: number;
  /** Points that were not hit, of those with a weight. */
  readonly neverHit: number;
  /** Mean of −⟨x, y − centre⟩ − β·1[same label] over the draws: the transport cost, up to a constant. */
  readonly cost: number;
}

/** Assigns at least `draws` fresh noise samples, the same ones under each potential. */
export async function measureMasses(
  transports: readonly Transport[],
  source: NoiseSource,
  draws: number,
  rng: Rng,
): Promise<Masses[]> {
  const placed = transports.map(({ points, potential }) => placePotential(points, potential));
  const hits = transports.map(({ points }) => new Float64Array(points.size));
  const costs = transports.map(() => 0);
  const batchSize = Math.min(draws, batchFor(transports)), batches = Math.ceil(draws / batchSize);
  const draw = (batch: number) => batch < batches ? source(batchSize, rng.at(batch)) : undefined;
  let next = draw(0);
  for (let batch = 0; next; batch++) {
    const rows = next, pending = assignAll(transports, placed, rows);
    next = draw(batch + 1); // while the engine multiplies
    for (const [i, { index, score }] of (await pending).entries()) {
      for (let row = 0; row < batchSize; row++) {
        hits[i]![index[row]!]!++;
        costs[i]! += transports[i]!.potential[index[row]!]! - score[row]!;
      }
    }
    rows.dispose();
  }
  tf.dispose(placed);
  return transports.map(({ points: { weights } }, i) => ({
    draws: batches * batchSize,
    hits: hits[i]!,
    chiSquared: chiSquared(hits[i]!, weights),
    neverHit: hits[i]!.reduce((count, hit, j) => count + (hit === 0 && weights[j]! > 0 ? 1 : 0), 0),
    cost: costs[i]! / (batches * batchSize),
  }));
}

async function assignAll(transports: readonly Transport[], placed: readonly Tensor[][], rows: Tensor) {
  const assignments: Assignment[] = [];
  for (const [i, { points }] of transports.entries()) assignments.push(await assign(points, placed[i]!, rows));
  return assignments;
}

/** As many noise samples as keep a batch of them, and its scores, at 16 MiB a view. */
function batchFor(transports: readonly Transport[]): number {
  const longest = Math.max(...transports.map(({ points }) => Math.max(points.chunkSize, widthOf(points.features))));
  return Math.max(64, Math.floor(2 ** 22 / longest / 64) * 64);
}
