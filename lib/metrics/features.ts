import { turn } from "../core/turn.ts";
import type { Dataset } from "../data/types.ts";
import { sizeOf } from "../nn/parameters.ts";
import { accumulateStatistics, type Statistics } from "./statistics.ts";

/** A frozen network of images, whose features stand for them where distributions are compared. */
export interface FeatureNetwork {
  /** `[channels, height, width]` of the images it takes. */
  readonly shape: readonly [number, number, number];
  /** Features of an image. */
  readonly width: number;
  /** SHA-256 of all that the features depend on: part of every figure measured with it. */
  readonly digest: string;
  /** Images a pass: one size for all, so that one recording serves. */
  readonly batch: number;
  /**
   * One pass. It stores the images at 256 grey levels first, generated and real
   * ones alike: what tells them apart must not be how finely they are stored.
   *
   * @param images `[batch, …shape]` in [-1, 1]
   * @returns `[batch, width]`, row-major
   */
  features(images: Float32Array): Promise<Float32Array>;
  dispose(): void;
}

/** Images in [-1, 1]: `[count, …shape]`, a dataset of which all rows are taken, or pieces of any number of images. */
export type Images = Float32Array | Dataset | AsyncIterable<Float32Array>;

/** Told of the images done so far. */
export interface FeatureProgress {
  readonly onProgress?: (done: number) => void;
}

/**
 * The features of images, `[count, width]`, row-major.
 *
 * @throws {RangeError} if the images are not of the network's shape
 * @throws {Problem} exit code 70 if a value is NaN
 */
export async function extractFeatures(
  network: FeatureNetwork,
  images: Images,
  progress: FeatureProgress = {},
): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  let length = 0;
  for await (const part of featurePasses(network, images, progress)) {
    parts.push(part);
    length += part.length;
  }
  const features = new Float32Array(length);
  for (let at = 0, i = 0; i < parts.length; at += parts[i++]!.length) features.set(parts[i]!, at);
  return features;
}

/** Mean and covariance of the features of images, however many there are. Throws as `extractFeatures` does. */
export async function featureStatistics(
  network: FeatureNetwork,
  images: Images,
  progress: FeatureProgress = {},
): Promise<Statistics> {
  const accumulator = accumulateStatistics(network.width);
  for await (const part of featurePasses(network, images, progress)) accumulator.add(part);
  return accumulator.finish();
}

/** Features of a pass at a time, `[images, width]`; the last is filled up with zeros and cut. */
async function* featurePasses(
  network: FeatureNetwork,
  images: Images,
  { onProgress = () => {} }: FeatureProgress,
): AsyncGenerator<Float32Array> {
  const imageSize = sizeOf(network.shape);
  let rows = new Float32Array(network.batch * imageSize), filled = 0, done = 0;
  const pass = async () => {
    const count = filled / imageSize;
    const features = await network.features(rows);
    rows = new Float32Array(rows.length);
    filled = 0;
    await turn(); // for signals: on the native engine all is computed at once
    onProgress(done += count);
    return features.subarray(0, count * network.width);
  };
  for await (const piece of piecesOf(network, images)) {
    if (piece.length % imageSize !== 0) {
      throw new RangeError(`${piece.length} values are no whole number of images of ${network.shape.join("x")}`);
    }
    for (let at = 0; at < piece.length;) {
      const taken = piece.subarray(at, at + rows.length - filled);
      rows.set(taken, filled);
      filled += taken.length;
      at += taken.length;
      if (filled === rows.length) yield await pass();
    }
  }
  if (filled > 0) yield await pass();
}

async function* piecesOf({ shape, batch }: FeatureNetwork, images: Images): AsyncGenerator<Float32Array> {
  if (images instanceof Float32Array) yield images;
  else if (!("gather" in images)) yield* images;
  else {
    if (images.shape.join() !== shape.join()) {
      throw new RangeError(
        `The network takes images of ${shape.join("x")}, ${images.name} has ${images.shape.join("x")}`,
      );
    }
    yield* rowsOf(images, 0, images.size, batch);
  }
}

/** The images from `begin` to `end`, at most `batch` at a time. */
export async function* rowsOf(
  images: Dataset,
  begin: number,
  end: number,
  batch: number,
): AsyncGenerator<Float32Array> {
  for (let at = begin; at < end; at += batch) {
    yield (await images.gather(Int32Array.from({ length: Math.min(batch, end - at) }, (_, i) => at + i))).data;
  }
}
