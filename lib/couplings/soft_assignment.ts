import { type Tensor, tf, trace } from "../engine/mod.ts";
import { product } from "../nn/product.ts";
import { viewsOf } from "./features.ts";
import type { PointSet } from "./point_set.ts";

/** Of the points of a chunk and their mirror images, for each sample: exp((score − the greatest)/ε). */
interface Exponentials {
  /** `[samples, views · points]` */
  readonly exponentials: Tensor;
  /** `[samples]`: the greatest score over ε, and the sum of the exponentials. */
  readonly greatest: Tensor;
  readonly sum: Tensor;
}

const exponentialsOfChunk = trace(
  "soft_exponentials",
  (inputs: { views: Tensor; points: Tensor; potential: Tensor; inverseEpsilon: Tensor }) => {
    const { views, points, potential, inverseEpsilon } = inputs;
    const rows = views.reshape([-1, points.shape[0]!]);
    const scores = product(rows.mul(inverseEpsilon), points).add(potential.mul(inverseEpsilon));
    const bySample = scores.reshape([views.shape[0]!, -1]);
    const greatest = tf.max(bySample, 1, true);
    const exponentials = tf.exp(tf.sub(bySample, greatest));
    return { exponentials, greatest: greatest.reshape([-1]), sum: tf.sum(exponentials, 1) };
  },
  { compile: true },
);

/** The sum of the samples' exponentials by their weights `[samples]`, mirror images counted with their points. */
const sharesOfChunk = trace(
  "soft_shares",
  ({ exponentials, weights, points }: { exponentials: Tensor; weights: Tensor; points: Tensor }) => {
    const sums = product(weights.reshape([1, -1]), exponentials);
    return { shares: sums.reshape([-1, points.shape[1]!]).sum(0) };
  },
  { compile: true },
);

/**
 * The mean over samples of softmax_j((⟨x, y_j⟩ + g_j)/ε), over the points and
 * their mirror images: the share of the noise that each point receives under
 * entropic smoothing, `[size]`, summing to 1.
 *
 * @param keptBytes exponentials of all points are kept up to so many bytes, and computed twice beyond
 */
export async function softShares(
  points: PointSet,
  potential: readonly Tensor[],
  rows: Tensor,
  epsilon: number,
  keptBytes: number = 2 ** 29,
): Promise<Float64Array> {
  const { size, chunks, chunkSize } = points, count = rows.shape[0]! / viewsOf(points.features);
  const inverseEpsilon = tf.scalar(1 / epsilon), views = rows.reshape([count, -1, rows.shape[1]!]);
  const chunk = async (c: number) => {
    const { exponentials, greatest, sum } = exponentialsOfChunk(
      { views, points: chunks[c]!, potential: potential[c]!, inverseEpsilon },
    );
    const normalizers = { greatest: await greatest.data(), sum: await sum.data() };
    tf.dispose([greatest, sum]);
    return { exponentials, normalizers };
  };
  const keeps = 4 * rows.shape[0]! * chunkSize * chunks.length <= keptBytes;
  const kept: Tensor[] = [], normalizers: Normalizers[] = [];
  for (let c = 0; c < chunks.length; c++) {
    const found = await chunk(c);
    normalizers.push(found.normalizers);
    if (keeps) kept.push(found.exponentials);
    else found.exponentials.dispose();
  }
  const total = Float64Array.from({ length: count }, (_, i) => logSumExp(normalizers, i));
  const shares = new Float64Array(size);
  for (let c = 0; c < chunks.length; c++) {
    const exponentials = kept[c] ?? (await chunk(c)).exponentials, { greatest } = normalizers[c]!;
    const weights = tf.tensor1d(Float32Array.from(total, (sum, i) => Math.exp(greatest[i]! - sum) / count));
    const ofChunk = sharesOfChunk({ exponentials, weights, points: chunks[c]! }).shares;
    const values = await ofChunk.data();
    tf.dispose([ofChunk, weights, exponentials]);
    const start = c * chunkSize, end = Math.min(start + chunkSize, size);
    for (let j = start; j < end; j++) shares[j] = values[j - start]!;
  }
  tf.dispose([inverseEpsilon, views]);
  return shares;
}

/** `greatest` and `sum` of a chunk's `Exponentials`, read. */
type Normalizers = Readonly<Record<"greatest" | "sum", ArrayLike<number>>>;

/** log Σ sum·exp(greatest) over the chunks, for sample `i`. */
function logSumExp(chunks: readonly Normalizers[], i: number): number {
  const most = Math.max(...chunks.map(({ greatest }) => greatest[i]!));
  return most +
    Math.log(chunks.reduce((total, { greatest, sum }) => total + sum[i]! * Math.exp(greatest[i]! - most), 0));
}
