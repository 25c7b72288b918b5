import { type Tensor, tf, trace } from "../engine/mod.ts";
import { product } from "../nn/product.ts";
import { viewsOf } from "./features.ts";
import type { PointSet } from "./point_set.ts";

type Scored = { rows: Tensor; points: Tensor; potential: Tensor; inverseEpsilon: Tensor; samples: Tensor };

/** The scores of each sample in units of ε, `[samples, views · points]`. */
function scaledScores({ rows, points, potential, inverseEpsilon, samples }: Scored): Tensor {
  const scores = product(rows.mul(inverseEpsilon), points).add(potential.mul(inverseEpsilon));
  return scores.reshape([samples.shape[0]!, -1]);
}

const chunkNormalizers = trace("soft_normalizers", (inputs: Scored) => ({
  normalizers: tf.logSumExp(scaledScores(inputs), 1) as Tensor,
}));

/** `samples` `[samples]` says how much each sample counts. */
const chunkShares = trace("soft_shares", (inputs: Scored) => {
  const weights = tf.softmax(scaledScores(inputs), 1), size = inputs.points.shape[1]!;
  return { shares: product(inputs.samples.reshape([1, -1]), weights).reshape([-1, size]).sum(0) };
});

/**
 * The mean over samples of softmax_j((⟨x, y_j⟩ + g_j)/ε), over the points and
 * their mirror images: the share of the noise that each point receives under
 * entropic smoothing, `[size]`, summing to 1. Points in several chunks cost a
 * second product, for the normalizers.
 */
export async function softShares(
  points: PointSet,
  potential: readonly Tensor[],
  rows: Tensor,
  epsilon: number,
): Promise<Float64Array> {
  const count = rows.shape[0]! / viewsOf(points.features), inverseEpsilon = tf.scalar(1 / epsilon);
  const inputs = (c: number, samples: Tensor) => (
    { rows, points: points.chunks[c]!, potential: potential[c]!, inverseEpsilon, samples }
  );
  const sampleWeights = await weightsByChunk(points.chunks.length, count, inputs);
  const shares = new Float64Array(points.size);
  for (const [c, weights] of sampleWeights.entries()) {
    const ofChunk = chunkShares(inputs(c, weights)).shares;
    const values = await ofChunk.data();
    tf.dispose([ofChunk, weights]);
    const start = c * points.chunkSize, end = Math.min(start + points.chunkSize, points.size);
    for (let j = start; j < end; j++) shares[j] = values[j - start]!;
  }
  inverseEpsilon.dispose();
  return shares;
}

/** For every chunk, how much of each sample's softmax over all points lies in it, over `count`: `[samples]`. */
async function weightsByChunk(
  chunks: number,
  count: number,
  inputs: (chunk: number, samples: Tensor) => Scored,
): Promise<Tensor[]> {
  const even = tf.fill([count], 1 / count) as Tensor;
  if (chunks === 1) return [even];
  const ofChunks: ArrayLike<number>[] = [];
  for (let c = 0; c < chunks; c++) {
    const { normalizers } = chunkNormalizers(inputs(c, even));
    ofChunks.push(await normalizers.data());
    normalizers.dispose();
  }
  even.dispose();
  const total = Float64Array.from(
    { length: count },
    (_, i) => logSumExp(ofChunks.map((normalizers) => normalizers[i]!)),
  );
  return ofChunks.map((normalizers) =>
    tf.tensor1d(Float32Array.from(total, (sum, i) => Math.exp(normalizers[i]! - sum) / count))
  );
}

function logSumExp(values: readonly number[]): number {
  const greatest = Math.max(...values);
  return greatest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - greatest), 0));
}
