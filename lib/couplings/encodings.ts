import type { Rng } from "../core/rng.ts";
import { addNoiseByRow } from "../data/add_noise.ts";
import type { Dataset } from "../data/types.ts";
import { tf } from "../engine/mod.ts";
import { imageTensor, labelTensor } from "./data_draw.ts";
import type { CouplingInputs, Teacher } from "./types.ts";

/** A piece of the training set as the teacher encodes it. */
export interface Encodings {
  /** `[rows, channels · height · width]`: f(x + ηε′, c), not yet divided by anything. */
  readonly noise: Float32Array;
  /** `[rows]`. */
  readonly labels: Int32Array;
}

/** Images encoded at a time. */
export const chunk = 256;

/**
 * f(x + ηε′, c) of every image of the dataset, with one draw of ε′ and, with
 * flips, one toss of the coin each: what σ_f of paper §3.2 is an expectation
 * over. Of `samples` images drawn at random, where that is less than all.
 *
 * @param note what the progress bar says
 */
export async function* encodings(
  inputs: CouplingInputs,
  teacher: Teacher,
  note: string,
  samples = inputs.dataset.size,
): AsyncGenerator<Encodings> {
  const { dataset, onProgress } = inputs;
  const rows = samples >= dataset.size
    ? Int32Array.from({ length: dataset.size }, (_, row) => row)
    : inputs.rng.fork("sigmaRows").permutation(dataset.size).slice(0, samples);
  for (let start = 0; start < rows.length; start += chunk) {
    yield await encodeChunk(inputs, teacher, rows.slice(start, start + chunk));
    onProgress?.(Math.min(1, (start + chunk) / rows.length), note);
  }
}

async function encodeChunk({ dataset, flips, rng }: CouplingInputs, teacher: Teacher, index: Int32Array) {
  // Keyed by image, so that the result does not depend on the chunk.
  const keys = Array.from(index, (row) => rng.fork("sigma").at(row));
  const mirrored = flips ? Uint8Array.from(keys, (key) => key.fork("flip").integers(1, 2)[0]!) : undefined;
  return await encodeRows(dataset, teacher, index, mirrored, keys);
}

/** f(x + ηε′, c) of the images at `index`, mirrored where `mirrored` is 1, with ε′ from a key each. */
export async function encodeRows(
  dataset: Dataset,
  { flow, noiseStd }: Teacher,
  index: Int32Array,
  mirrored: Uint8Array | undefined,
  keys: readonly Rng[],
): Promise<Encodings> {
  const { data, labels } = await dataset.gather(index, mirrored);
  const noisy = addNoiseByRow(data, noiseStd, keys);
  const noise = tf.tidy(() => flow.encode(imageTensor(noisy, dataset), labelTensor(labels)).noise);
  const values = await noise.data<"float32">();
  noise.dispose();
  return { noise: values, labels };
}
