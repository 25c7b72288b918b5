import { Problem } from "../core/problem.ts";
import { tf } from "../engine/mod.ts";
import { dimensionOf, imageTensor, labelTensor } from "./data_draw.ts";
import type { CouplingInputs, Teacher } from "./types.ts";

/** Images encoded at a time. */
const chunk = 256;

/**
 * E[f(x + ηε′, c)²] per dimension (σ_f² of paper §3.2), over every image
 * of the dataset with one draw of ε′ and, with flips, one toss of the coin
 * each; accumulated in float64. Of `samples` images drawn at random, where
 * that is less than all.
 *
 * @returns `[channels · height · width]`
 * @throws {Problem} exit code 70, when the teacher's noise is not finite
 */
export async function secondMoments(
  inputs: CouplingInputs,
  teacher: Teacher,
  samples = inputs.dataset.size,
): Promise<Float64Array> {
  const { dataset, onProgress } = inputs;
  const dimension = dimensionOf(dataset.shape);
  const every = samples >= dataset.size;
  const rows = every
    ? Int32Array.from({ length: dataset.size }, (_, row) => row)
    : inputs.rng.fork("sigmaRows").permutation(dataset.size).slice(0, samples);
  const sums = new Float64Array(dimension);
  for (let start = 0; start < rows.length; start += chunk) {
    const noise = await encodeRows(inputs, teacher, rows.slice(start, start + chunk));
    for (let i = 0; i < noise.length; i += dimension) {
      for (let k = 0; k < dimension; k++) sums[k]! += noise[i + k]! ** 2;
    }
    onProgress?.(Math.min(1, (start + chunk) / rows.length), "measuring the teacher's σ over the training set");
  }
  if (!sums.every((sum) => Number.isFinite(sum) && sum > 0)) {
    throw new Problem(
      "The teacher's noise is not finite over the training set, so it has no σ: train the teacher again at a lower rate",
      { exitCode: 70 },
    );
  }
  return sums.map((sum) => sum / rows.length);
}

async function encodeRows(
  { dataset, flips, rng }: CouplingInputs,
  { flow, noiseStd }: Teacher,
  index: Int32Array,
): Promise<Float32Array> {
  // Keyed by image, so that the result does not depend on the chunk.
  const keys = Array.from(index, (row) => rng.fork("sigma").at(row));
  const mirrored = flips ? Uint8Array.from(keys, (key) => key.fork("flip").integers(1, 2)[0]!) : undefined;
  const { data, labels } = await dataset.gather(index, mirrored);
  const dimension = dimensionOf(dataset.shape), noisy = data.slice();
  keys.forEach((key, i) => key.normal(dimension).forEach((value, k) => noisy[i * dimension + k]! += noiseStd * value));
  const noise = tf.tidy(() => flow.encode(imageTensor(noisy, dataset), labelTensor(labels)).noise);
  const values = await noise.data<"float32">();
  noise.dispose();
  return values;
}
