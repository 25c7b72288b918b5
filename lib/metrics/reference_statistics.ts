import { exists, removeIfThere } from "../core/files.ts";
import { attempt, Problem } from "../core/problem.ts";
import type { Dataset } from "../data/types.ts";
import { readSafetensors, type StoredTensor, writeSafetensors } from "../training/safetensors.ts";
import { readNpz } from "./npz.ts";
import { type FeatureNetwork, type FeatureProgress, featureStatistics, rowsOf } from "./features.ts";
import { blockRows, mergeStatistics, type Statistics, statisticsOf } from "./statistics.ts";

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

/** How statistics are gathered. */
export interface GatheringOptions extends FeatureProgress {
  /** Stops after a pass, with what is done kept. */
  readonly signal?: AbortSignal;
  /** What is done is kept when this long has passed; a minute when not said. */
  readonly saveEverySeconds?: number;
}

/**
 * Statistics of the features of all images of a set, kept in a file. However often gathering them is stopped or
 * killed, they end up the same, byte for byte. They come back from the file at the first call too, so that every
 * call gives the same numbers.
 *
 * @param path of a safetensors file whose name stands for everything that they depend on; beside it lies what is done
 * @throws {Problem} as `extractFeatures` does, if the file is damaged, or the signal's reason: the same call goes on
 */
export async function keptStatistics(
  path: string,
  network: FeatureNetwork,
  images: Dataset,
  options: GatheringOptions = {},
): Promise<Statistics> {
  if (!await exists(path)) {
    const begun = `${path}.begun`;
    await write(path, await gather(begun, network, images, options), 2);
    await removeIfThere(begun);
  }
  return await read(path, 2);
}

/** The last of a float64's 53 bits are in the third float32: what is gone on from is what was left. */
const exactly = 3;

async function gather(
  begun: string,
  network: FeatureNetwork,
  images: Dataset,
  { onProgress = () => {}, signal, saveEverySeconds = 60 }: GatheringOptions,
): Promise<Statistics> {
  // What is not there, or damaged, is begun again.
  const earlier = await attempt(() => read(begun, exactly));
  let total = earlier instanceof Problem ? statisticsOf(new Float64Array(), network.width) : earlier;
  let kept = total.count, keptAt = performance.now();
  const keep = async () => {
    if (kept < total.count) await write(begun, total, exactly);
    [kept, keptAt] = [total.count, performance.now()];
  };
  while (total.count < images.size) {
    const block = rowsOf(images, total.count, Math.min(total.count + blockRows, images.size), network.batch);
    const told = (done: number) => {
      signal?.throwIfAborted();
      onProgress(total.count + done);
    };
    try {
      total = mergeStatistics(total, await featureStatistics(network, block, { onProgress: told }));
    } catch (error) {
      if (signal?.aborted) await keep();
      throw error;
    }
    if (performance.now() - keptAt >= saveEverySeconds * 1000) await keep();
  }
  return total;
}

async function write(path: string, { count, dims, mean, covariance }: Statistics, floats: number): Promise<void> {
  const tensors = [
    ...asFloats("mean", [dims], mean, floats),
    ...asFloats("covariance", [dims, dims], covariance, floats),
  ];
  await writeSafetensors(path, tensors, { count: String(count), dims: String(dims) });
}

async function read(path: string, floats: number): Promise<Statistics> {
  const { tensors, metadata } = await readSafetensors(path);
  const valuesOf = (name: string) => {
    const parts = names.slice(0, floats).map((part) => tensors.get(`${name}.${part}`)!.data);
    return Float64Array.from(parts[0]!, (_, i) => parts.reduceRight((sum, part) => sum + part[i]!, 0));
  };
  const { count, dims } = metadata;
  return { count: Number(count), dims: Number(dims), mean: valuesOf("mean"), covariance: valuesOf("covariance") };
}

const names = ["high", "low", "lowest"] as const;

/** The format has float32: a float64 is a sum of them, of two to 48 bits. */
function* asFloats(
  name: string,
  shape: readonly number[],
  values: Float64Array,
  floats: number,
): Generator<[string, StoredTensor]> {
  let rest = values;
  for (const part of names.slice(0, floats)) {
    const data = Float32Array.from(rest);
    yield [`${name}.${part}`, { shape, data }];
    rest = rest.map((x, i) => x - data[i]!);
  }
}
