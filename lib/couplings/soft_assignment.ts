import { type Tensor, tf, trace } from "../engine/mod.ts";
import { product } from "../nn/product.ts";
import { viewsOf } from "./features.ts";
import type { PointSet } from "./point_set.ts";

/** Noise samples, or groups of samples that have all but their coordinates along some directions in common. */
export interface GroupedNoise {
  /** `[samples · views, width]`, as `noiseRows`; with `coordinates`, what a group has in common, `[groups · views, width]`. */
  readonly rows: Tensor;
  /** `[samples · views, directions]`, group by group. */
  readonly coordinates?: Tensor;
}

/** A chunk of the points, its potential, and the noise; the last two where samples come in groups. */
type ChunkInputs = Readonly<Record<"views" | "points" | "potential" | "inverseEpsilon", Tensor>> & {
  readonly coordinates?: Tensor;
  readonly ofPoints?: Tensor;
};

/** Of a chunk and its mirror images, for each sample: exp((score − the greatest)/ε), their sum, and the greatest score over ε. */
function exponentialsOf(inputs: ChunkInputs): Record<"exponentials" | "greatest" | "sum", Tensor> {
  const { views, points, potential, inverseEpsilon, coordinates, ofPoints } = inputs;
  const groups = views.shape[0]!, length = views.shape[1]! * points.shape[1]!;
  const rows = views.reshape([-1, points.shape[0]!]).mul(inverseEpsilon);
  const common = product(rows, points).add(potential.mul(inverseEpsilon)).reshape([groups, 1, length]);
  const varied = coordinates && ofPoints && product(coordinates.mul(inverseEpsilon), ofPoints);
  const scores = (varied ? varied.reshape([groups, -1, length]).add(common) : common).reshape([-1, length]);
  const greatest = tf.max(scores, 1, true);
  const exponentials = tf.exp(tf.sub(scores, greatest));
  return { exponentials, greatest: greatest.reshape([-1]), sum: tf.sum(exponentials, 1) };
}

/** The sum of the samples' exponentials by their weights, `[size of the chunk]`, mirror images counted with their points. */
function weightedSum(weights: Tensor, exponentials: Tensor, points: Tensor): Tensor {
  // Four rows, three of them zeros: XLA is slow at a vector's product (see `columnSums`).
  const sums = product(weights.reshape([1, -1]).pad([[0, 3], [0, 0]]), exponentials).slice([0, 0], [1, -1]);
  return sums.reshape([-1, points.shape[1]!]).sum(0);
}

const exponentialsOfChunk = trace("soft_exponentials", exponentialsOf, { compile: true });

const sharesOfChunk = trace(
  "soft_shares",
  ({ exponentials, weights, points }: Record<"exponentials" | "weights" | "points", Tensor>) => {
    return { shares: weightedSum(weights, exponentials, points) };
  },
  { compile: true },
);

const sharesOfOnlyChunk = trace("soft_shares_at_once", (inputs: ChunkInputs) => {
  const { exponentials, sum } = exponentialsOf(inputs);
  return { shares: weightedSum(tf.div(1 / sum.size, sum), exponentials, inputs.points) };
}, { compile: true });

/** How shares are computed. */
export interface SoftOptions {
  /** Where the points lie along the directions of the noise's `coordinates`, `[directions, chunkSize]` a chunk. */
  readonly ofPoints?: readonly Tensor[] | undefined;
  /** Exponentials of several chunks are kept up to so many bytes, and computed twice beyond; half a GiB. */
  readonly keptBytes?: number | undefined;
}

/**
 * The mean over samples of softmax_j((⟨x, y_j⟩ + g_j)/ε), over the points and
 * their mirror images: the share of the noise that each point receives under
 * entropic smoothing, `[size]`, summing to 1.
 */
export async function softShares(
  points: PointSet,
  potential: readonly Tensor[],
  noise: GroupedNoise,
  epsilon: number,
  { ofPoints, keptBytes = 2 ** 29 }: SoftOptions = {},
): Promise<Float64Array> {
  const { rows, coordinates } = noise, perSample = viewsOf(points.features);
  const inverseEpsilon = tf.scalar(1 / epsilon), views = rows.reshape([-1, perSample, rows.shape[1]!]);
  const samples = (coordinates ?? rows).shape[0]! / perSample;
  const inputs = points.chunks.map((chunk, c) => ({
    ...{ views, points: chunk, potential: potential[c]!, inverseEpsilon },
    ...(coordinates && { coordinates, ofPoints: ofPoints![c]! }),
  }));
  const shares = inputs.length === 1
    ? Float64Array.from(await take(sharesOfOnlyChunk(inputs[0]!).shares))
    : await sharesOfChunks(inputs, samples, 4 * samples * perSample * points.chunkSize * inputs.length <= keptBytes);
  tf.dispose([inverseEpsilon, views]);
  return shares.subarray(0, points.size);
}

async function sharesOfChunks(inputs: readonly ChunkInputs[], samples: number, keeps: boolean): Promise<Float64Array> {
  const kept: Tensor[] = [], normalizers: Normalizers[] = [];
  for (const chunk of inputs) {
    const { exponentials, greatest, sum } = exponentialsOfChunk(chunk);
    normalizers.push({ greatest: await take(greatest), sum: await take(sum) });
    if (keeps) kept.push(exponentials);
    else exponentials.dispose();
  }
  const total = Float64Array.from({ length: samples }, (_, i) => logSumExp(normalizers, i));
  const chunkSize = inputs[0]!.points.shape[1]!, shares = new Float64Array(chunkSize * inputs.length);
  for (const [c, chunk] of inputs.entries()) {
    const { greatest } = normalizers[c]!;
    let exponentials = kept[c];
    if (!exponentials) {
      const again = exponentialsOfChunk(chunk);
      tf.dispose([again.greatest, again.sum]);
      exponentials = again.exponentials;
    }
    const weights = tf.tensor1d(Float32Array.from(total, (sum, i) => Math.exp(greatest[i]! - sum) / samples));
    shares.set(await take(sharesOfChunk({ exponentials, weights, points: chunk.points }).shares), c * chunkSize);
    tf.dispose([weights, exponentials]);
  }
  return shares;
}

/** A tensor's values; it is disposed. */
async function take(tensor: Tensor): Promise<ArrayLike<number>> {
  const values = await tensor.data();
  tensor.dispose();
  return values;
}

/** `greatest` and `sum` of a chunk's exponentials, read. */
type Normalizers = Readonly<Record<"greatest" | "sum", ArrayLike<number>>>;

/** log Σ sum·exp(greatest) over the chunks, for sample `i`. */
function logSumExp(chunks: readonly Normalizers[], i: number): number {
  const most = Math.max(...chunks.map(({ greatest }) => greatest[i]!));
  return most +
    Math.log(chunks.reduce((total, { greatest, sum }) => total + sum[i]! * Math.exp(greatest[i]! - most), 0));
}
