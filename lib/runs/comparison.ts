import { extractFeatures, featureStatistics } from "../metrics/features.ts";
import { frechetMeasurement } from "../metrics/frechet.ts";
import type { Measurement } from "../metrics/types.ts";
import { sizeOf } from "../nn/parameters.ts";
import type { Workbench } from "./workbench.ts";

/** The Fréchet distance of drawn samples, `[count, …shape]`, from the training set. */
export async function distanceOf(bench: Workbench, drawn: Float32Array): Promise<Measurement> {
  const { features, reference } = bench.comparison!;
  return frechetMeasurement(await extractFeatures(features, imagesOf(bench, drawn)), reference, {
    allowFewSamples: true,
  });
}

/** The same as a bare number from few samples: what a search compares. */
export async function roughDistance(bench: Workbench, drawn: Float32Array): Promise<number> {
  const { features, reference } = bench.comparison!;
  const statistics = await featureStatistics(features, imagesOf(bench, drawn));
  return reference.distance(statistics, { allowFewSamples: true });
}

/** Samples turned into images at a time: all of the paper's would take 39 GB. */
const imagesAtOnce = 512;

async function* imagesOf({ train, toImages }: Workbench, drawn: Float32Array): AsyncGenerator<Float32Array> {
  const step = imagesAtOnce * sizeOf(train.shape);
  for (let start = 0; start < drawn.length; start += step) yield await toImages(drawn.subarray(start, start + step));
}
