import { type Tensor, tf } from "../engine/mod.ts";
import type { Rng } from "../core/rng.ts";
import { turn } from "../core/turn.ts";
import { addNoiseByRow } from "../data/add_noise.ts";
import type { Dataset } from "../data/types.ts";
import type { NormalizingFlow } from "../models/types.ts";

/** What to encode, and under which noise. */
export interface EncodeInputs {
  readonly flow: NormalizingFlow;
  readonly dataset: Dataset;
  /** η of paper §2.2. */
  readonly noiseStd: number;
  readonly batchSize: number;
  /** Row i of the dataset gets the noise of `rng.fork("noise").at(i)`, whatever the batch size. */
  readonly rng: Rng;
  /** Encode only this many rows, drawn at random without replacement. */
  readonly limit?: number;
  readonly onProgress?: (done: number) => void;
}

/** A batch of codes f(x + ηε′, c), on this side of the engine. */
export interface Encoded {
  /** `[rows, dims]`, row-major: f itself, not yet divided by σ_f. */
  readonly noise: Float32Array;
  /** `[rows]`, summed over dimensions, nats. */
  readonly logDeterminant: Float32Array;
  /** `[rows]`. */
  readonly labels: Int32Array;
}

/** The rows of a split that `inputs` select, in order. */
export function selectedRows({ dataset, rng, limit }: EncodeInputs): Int32Array {
  if (limit === undefined || limit >= dataset.size) return Int32Array.from({ length: dataset.size }, (_, i) => i);
  return rng.fork("rows").permutation(dataset.size).slice(0, limit);
}

/** Encodes a split, batch by batch, with the noise added and true labels. */
export async function* encodeSplit(inputs: EncodeInputs): AsyncGenerator<Encoded> {
  const { flow, dataset, noiseStd, batchSize, rng, onProgress } = inputs;
  const rows = selectedRows(inputs);
  for (let start = 0; start < rows.length; start += batchSize) {
    const indices = rows.slice(start, start + batchSize);
    const { data, labels } = await dataset.gather(indices);
    const noisy = addNoiseByRow(data, noiseStd, Array.from(indices, (row) => rng.fork("noise").at(row)));
    const encoded = await encodeRows(flow, noisy, labels, dataset.shape);
    yield { ...encoded, labels };
    onProgress?.(start + indices.length);
  }
}

/** f(rows, labels) read back. `rows` is `[batch, …shape]`, row-major. */
export async function encodeRows(
  flow: NormalizingFlow,
  rows: Float32Array,
  labels: Int32Array,
  shape: readonly [number, number, number],
): Promise<{ noise: Float32Array; logDeterminant: Float32Array }> {
  const outputs = tf.tidy(() => {
    const { noise, logDeterminant } = flow.encode(
      tf.tensor(rows, [labels.length, ...shape]),
      tf.tensor1d(labels, "int32"),
    );
    return [noise, logDeterminant] as [Tensor, Tensor];
  });
  const [noise, logDeterminant] = await Promise.all(outputs.map((tensor) => tensor.data<"float32">()));
  tf.dispose(outputs);
  await turn(); // for signals: on the native engine all is computed at once
  return { noise: noise!, logDeterminant: logDeterminant! };
}
