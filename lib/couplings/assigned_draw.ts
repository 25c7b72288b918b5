import type { Rng } from "../core/rng.ts";
import type { Dataset } from "../data/types.ts";
import type { Tensor } from "../engine/mod.ts";
import { assign } from "./assignment.ts";
import { type Features, noiseRows } from "./features.ts";
import type { PointSet } from "./point_set.ts";

/** One transport problem, ready to draw from. */
export interface PlacedTransport {
  /** `[size]`: the dataset's row of each point. */
  readonly members: Int32Array;
  readonly points: PointSet;
  /** As `placePotential` gives it. */
  readonly potential: readonly Tensor[];
  /** The label whose noise it takes; all noise if not said. */
  readonly label?: number | undefined;
}

/** Noise with the images it is sent to, batch after batch: `rows` are `batches · size`. */
export interface AssignedDraw {
  /** `[rows, dimension]`, from N(0, I). */
  readonly noise: Float32Array;
  /** `[rows]`: the noise's labels, from the dataset's frequencies. */
  readonly labels: Int32Array;
  /** `[rows]`: rows of the dataset. */
  readonly index: Int32Array;
  /** `[rows]`: 1 where the image is mirrored. */
  readonly mirrored: Uint8Array;
}

/** Noise samples in one product at most. */
const block = 1024;

/** Labels with the dataset's frequencies: those of images drawn uniformly. */
export function drawLabels({ labels, size }: Dataset, count: number, rng: Rng): Int32Array {
  return rng.fork("label").integers(count, size).map((row) => labels[row]!);
}

/**
 * Draws a batch of labelled noise under each key and sends each sample to its
 * image, one class after the other where each has its own problem. To read all
 * points takes longer than a batch's products with them: batches that are
 * drawn together share that.
 */
export async function drawAssigned(
  dataset: Dataset,
  features: Features,
  transports: readonly PlacedTransport[],
  size: number,
  rngs: readonly Rng[],
): Promise<AssignedDraw> {
  const { dimension } = features, rows = rngs.length * size;
  const noise = new Float32Array(rows * dimension), labels = new Int32Array(rows);
  rngs.forEach((rng, batch) => {
    noise.set(rng.fork("noise").normal(size * dimension), batch * size * dimension);
    labels.set(drawLabels(dataset, size, rng), batch * size);
  });
  const index = new Int32Array(rows), mirrored = new Uint8Array(rows);
  for (const transport of transports) {
    const { members, label } = transport;
    const samples = [...labels.keys()].filter((i) => label === undefined || labels[i] === label);
    for (let start = 0; start < samples.length; start += block) {
      const taken = samples.slice(start, start + block);
      const assigned = await assignSamples(features, transport, noise, labels, taken);
      taken.forEach((sample, i) => {
        index[sample] = members[assigned.index[i]!]!;
        mirrored[sample] = assigned.mirrored[i]!;
      });
    }
  }
  return { noise, labels, index, mirrored };
}

async function assignSamples(
  features: Features,
  { points, potential }: PlacedTransport,
  noise: Float32Array,
  labels: Int32Array,
  samples: readonly number[],
) {
  const { dimension } = features;
  const own = new Float32Array(samples.length * dimension);
  samples.forEach((sample, i) => own.set(noise.subarray(sample * dimension, (sample + 1) * dimension), i * dimension));
  const rows = noiseRows(features, own, Int32Array.from(samples, (i) => labels[i]!), paddedCount(samples.length));
  try {
    return await assign(points, potential, rows, samples.length);
  } finally {
    rows.dispose();
  }
}

/** Few counts, so that the engine records few shapes: multiples of 4 to 16, of 16 to 64, then of 64. */
function paddedCount(count: number): number {
  const step = count <= 16 ? 4 : count <= 64 ? 16 : 64;
  return Math.ceil(count / step) * step;
}
