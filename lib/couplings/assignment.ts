import { type Tensor, trace } from "../engine/mod.ts";
import { product } from "../nn/product.ts";
import { viewsOf } from "./features.ts";
import type { PointSet } from "./point_set.ts";

/** Which point each noise sample is sent to. */
export interface Assignment {
  /** `[count]`: points. */
  readonly index: Int32Array;
  /** `[count]`: 1 where it is the mirror image of the point. */
  readonly mirrored: Uint8Array;
  /** `[count]`: ⟨x, y − centre⟩ + g at the chosen point, the greatest over all points. */
  readonly score: Float32Array;
}

const bestOfChunk = trace(
  "best_point",
  ({ rows, points, potential }: { rows: Tensor; points: Tensor; potential: Tensor }) => {
    const scores = product(rows, points).add(potential);
    return { index: scores.argMax(1), score: scores.max(1) };
  },
);

/**
 * The semidiscrete map argmax_j ⟨x, y_j⟩ + g_j, chunk by chunk of the points,
 * keeping the best so far; the first of equals wins.
 *
 * @param potential g, as `placePotential` gives it
 * @param rows `[padded · views, width]`, as `noiseRows` gives them
 * @param count samples to report, without the padding
 */
export async function assign(
  points: PointSet,
  potential: readonly Tensor[],
  rows: Tensor,
  count: number = rows.shape[0]! / viewsOf(points.features),
): Promise<Assignment> {
  const views = viewsOf(points.features);
  const result = {
    index: new Int32Array(count),
    mirrored: new Uint8Array(count),
    score: new Float32Array(count).fill(-Infinity),
  };
  for (const [c, chunk] of points.chunks.entries()) {
    const best = await bestOfChunk.aside({ rows, points: chunk, potential: potential[c]! });
    const [index, score] = await Promise.all([best.index.data(), best.score.data()]);
    best.index.dispose();
    best.score.dispose();
    for (let row = 0; row < count * views; row++) {
      const sample = Math.floor(row / views);
      if (score[row]! <= result.score[sample]!) continue;
      result.score[sample] = score[row]!;
      result.index[sample] = c * points.chunkSize + index[row]!;
      result.mirrored[sample] = row % views;
    }
  }
  return result;
}
