import { type Tensor, tf, trace } from "../engine/mod.ts";
import { product } from "../nn/product.ts";
import { viewsOf } from "./features.ts";
import type { PointSet } from "./point_set.ts";

type ScaledScores = { rows: Tensor; points: Tensor; potential: Tensor; inverseEpsilon: Tensor; others: Tensor };

/** Stands for log 0 in float32. */
const logZero = -1e30;

/** Per sample, over the points of one chunk and over its views, log Σ exp(score/ε) together with `others` `[samples]`. */
function logNormalizer({ rows, points, potential, inverseEpsilon, others }: ScaledScores) {
  const samples = others.shape[0]!, views = rows.shape[0]! / samples;
  const scores = product(rows.mul(inverseEpsilon), points).add(potential.mul(inverseEpsilon));
  const greatest = scores.max(1).reshape([views, samples]).max(0).maximum(others);
  const exponentials = scores.sub(perRow(greatest, views)).exp();
  const sum = exponentials.sum(1).reshape([views, samples]).sum(0).add(others.sub(greatest).exp());
  return { exponentials, sum, normalizer: greatest.add(sum.log()) };
}

const chunkNormalizer = trace("soft_normalizer", (inputs: ScaledScores) => ({
  normalizer: logNormalizer(inputs).normalizer,
}));

const chunkShares = trace("soft_shares", (inputs: ScaledScores) => {
  const { exponentials, sum } = logNormalizer(inputs);
  const samples = sum.shape[0]!, views = inputs.rows.shape[0]! / samples;
  const weights = perRow(sum.reciprocal().div(samples), views).reshape([1, views * samples]);
  return { shares: product(weights, exponentials).reshape([inputs.points.shape[1]!]) };
});

/**
 * The mean over samples of softmax_j((⟨x, y_j⟩ + g_j)/ε): the share of the
 * noise that each point receives under entropic smoothing, `[size]`, summing to
 * 1. Points in several chunks cost a second product, for the normalizer.
 */
export async function softShares(
  points: PointSet,
  potential: readonly Tensor[],
  rows: Tensor,
  epsilon: number,
): Promise<Float64Array> {
  const samples = rows.shape[0]! / viewsOf(points.features);
  const inverseEpsilon = tf.scalar(1 / epsilon), none = tf.fill([samples], logZero);
  const inputs = (c: number, others: Tensor) => (
    { rows, points: points.chunks[c]!, potential: potential[c]!, inverseEpsilon, others }
  );
  const others: Tensor[] = points.chunks.length === 1 ? [none] : await normalizersOfOthers(points, inputs, none);
  const shares = new Float64Array(points.size);
  for (let c = 0; c < points.chunks.length; c++) {
    const ofChunk = chunkShares(inputs(c, others[c]!)).shares;
    const values = await ofChunk.data();
    ofChunk.dispose();
    const start = c * points.chunkSize;
    for (let j = 0; start + j < points.size && j < points.chunkSize; j++) shares[start + j] = values[j]!;
  }
  tf.dispose([inverseEpsilon, none, ...others]);
  return shares;
}

/** For every chunk, log Σ exp(score/ε) over the points of all the other chunks, `[samples]`. */
async function normalizersOfOthers(
  points: PointSet,
  inputs: (chunk: number, others: Tensor) => ScaledScores,
  none: Tensor,
): Promise<Tensor[]> {
  const normalizers: ArrayLike<number>[] = [];
  for (let c = 0; c < points.chunks.length; c++) {
    const { normalizer } = chunkNormalizer(inputs(c, none));
    normalizers.push(await normalizer.data());
    normalizer.dispose();
  }
  return normalizers.map((_, chunk) => {
    const others = normalizers.filter((_, c) => c !== chunk);
    return tf.tensor1d(Float32Array.from({ length: none.shape[0]! }, (_, i) => logSumExp(others.map((of) => of[i]!))));
  });
}

function logSumExp(values: readonly number[]): number {
  const greatest = Math.max(...values);
  return greatest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - greatest), 0));
}

/** `[samples]` as a column `[views · samples, 1]`, the same for each view. */
function perRow(values: Tensor, views: number): Tensor {
  return values.tile([views]).reshape([-1, 1]);
}
