import { exists } from "../core/files.ts";
import { Problem } from "../core/problem.ts";
import { readSafetensors, type StoredTensor, writeSafetensors } from "../training/safetensors.ts";
import { readNpz } from "./npz.ts";
import type { Statistics } from "./statistics.ts";

/**
 * Published statistics of a reference set, as pytorch-fid, clean-fid, EDM and
 * ADM share them: a `.npz` with mean `mu` and covariance `sigma`. How many
 * images made them is not in there: `count` is Infinity.
 *
 * @param width features of the network that they are of
 * @throws {Problem} one sentence: as `readNpz`, or what is wrong with the numbers
 */
export async function readPublishedStatistics(path: string, width: number): Promise<Statistics> {
  const { mu, sigma } = await readNpz(path, ["mu", "sigma"]);
  const fail = (sentence: string): never => {
    throw new Problem(`Cannot use ${path} as reference statistics: ${sentence}`, { exitCode: 74 });
  };
  if (mu.shape.join() !== `${width}` || sigma.shape.join() !== `${width},${width}`) {
    fail(
      `mu has shape [${mu.shape}] and sigma [${sigma.shape}] where the network's ${width} features need ` +
        `[${width}] and [${width},${width}]`,
    );
  }
  if (!mu.data.every(Number.isFinite) || !sigma.data.every(Number.isFinite)) {
    fail("it holds values that are not finite");
  }
  const largest = sigma.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  for (let i = 0; i < width; i++) {
    if (sigma.data[i * width + i]! < 0) fail(`the variance of feature ${i} is negative`);
    for (let j = 0; j < i; j++) {
      if (Math.abs(sigma.data[i * width + j]! - sigma.data[j * width + i]!) > 1e-6 * largest) {
        fail(`sigma is not symmetric at ${i}, ${j}: it is damaged, or no covariance`);
      }
    }
  }
  return { count: Infinity, dims: width, mean: mu.data, covariance: sigma.data };
}

/**
 * Statistics kept in a file, computed when it is not there. They come back from
 * the file at the first call too, so that every call gives the same numbers.
 *
 * @param path of a safetensors file whose name stands for everything that they depend on
 * @throws {Problem} as `compute` does, or if the file is damaged
 */
export async function keptStatistics(path: string, compute: () => Promise<Statistics>): Promise<Statistics> {
  if (!await exists(path)) {
    const { count, dims, mean, covariance } = await compute();
    const tensors = [...halves("mean", [dims], mean), ...halves("covariance", [dims, dims], covariance)];
    await writeSafetensors(path, tensors, { count: String(count), dims: String(dims) });
  }
  const { tensors, metadata } = await readSafetensors(path);
  const read = (name: string) => {
    const high = tensors.get(`${name}.high`)!.data, low = tensors.get(`${name}.low`)!.data;
    return Float64Array.from(high, (x, i) => x + low[i]!);
  };
  const { count, dims } = metadata;
  return { count: Number(count), dims: Number(dims), mean: read("mean"), covariance: read("covariance") };
}

/** The format has float32: a float64 is two of them, to 48 bits. */
function* halves(name: string, shape: readonly number[], values: Float64Array): Generator<[string, StoredTensor]> {
  const high = Float32Array.from(values);
  yield [`${name}.high`, { shape, data: high }];
  yield [`${name}.low`, { shape, data: Float32Array.from(values, (x, i) => x - high[i]!) }];
}
