import { createRng } from "../../lib/core/rng.ts";
import { createPixelDataset } from "../../lib/data/pixel_dataset.ts";
import type { Dataset } from "../../lib/data/types.ts";
import type { Teacher } from "../../lib/couplings/types.ts";
import { tf } from "../../lib/engine/mod.ts";
import { bindFlow } from "../../lib/models/bind.ts";
import { tarflow } from "../../lib/models/tarflow.ts";
import { initialize } from "../../lib/nn/parameters.ts";

/** Images of each class: unequal, so that label frequencies are put to the test. */
const classSizes = [8, 14, 20];
const shape = [1, 4, 4] as const;

/** 42 images of 4×4 in three classes, in mixed order, none its own mirror image. */
export function smallSet(): Dataset {
  const rng = createRng(11), size = classSizes.reduce((a, b) => a + b);
  const sorted = classSizes.flatMap((count, label) => Array<number>(count).fill(label));
  const labels = Uint8Array.from(rng.fork("order").permutation(size), (row) => sorted[row]!);
  const noise = rng.fork("pixels").normal(size * 16);
  const pixels = Uint8Array.from(noise, (value, i) => {
    const label = labels[Math.floor(i / 16)]!, column = i % 4;
    return Math.max(0, Math.min(255, 110 + 40 * label - 15 * column + 40 * value));
  });
  return createPixelDataset({ name: "small", split: "train", shape, classes: 3, pixels, labels });
}

/** A TarFlow with random parameters, well away from the identity, and the tensor to dispose after use. */
export function randomTeacher(noiseStd = 0.1): Teacher & { dispose(): void } {
  const definition = tarflow({ patch: 2, width: 8, headWidth: 8, blocks: [1, 1] }, [...shape], 3);
  const rng = createRng(12);
  const start = initialize(definition.specs, rng), more = rng.fork("more").normal(start.length);
  const flat = tf.tensor1d(start.map((value, i) => value + 0.1 * more[i]!));
  return { flow: bindFlow(definition, flat), noiseStd, dispose: () => flat.dispose() };
}

/** Mean, variance and the greatest covariance between two columns of `[rows, columns]`, in float64. */
export function momentsOf(values: ArrayLike<number>, columns: number) {
  const rows = values.length / columns;
  const mean = Float64Array.from({ length: columns }, (_, k) => {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += values[i * columns + k]!;
    return sum / rows;
  });
  const covariance = (k: number, l: number) => {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += (values[i * columns + k]! - mean[k]!) * (values[i * columns + l]! - mean[l]!);
    return sum / rows;
  };
  const variance = Float64Array.from(mean, (_, k) => covariance(k, k));
  let greatest = 0;
  for (let k = 0; k < columns; k++) {
    for (let l = 0; l < k; l++) greatest = Math.max(greatest, Math.abs(covariance(k, l)));
  }
  return { mean, variance, greatestCovariance: greatest };
}

/** The greatest absolute value. */
export function greatest(values: Iterable<number>): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Number.isNaN(value) ? Infinity : Math.abs(value));
  return most;
}
