import { type Tensor, tf } from "../engine/mod.ts";
import type { ResizeMode } from "./inception_options.ts";

/**
 * Bilinear resizing on the engine; see `resizeModes`.
 *
 * @param images `[batch, height, width, channels]`
 * @returns `[batch, side, side, channels]`
 */
export function resizeBilinear(images: Tensor, side: number, mode: Exclude<ResizeMode, "pillowBicubic">): Tensor {
  return tf.image.resizeBilinear(images as tf.Tensor4D, [side, side], false, mode === "halfPixel");
}

/**
 * Bicubic resizing as Pillow does it, rows first and then columns, in float64.
 *
 * @param levels `[batch, channels, height, width]`, in 0..255
 * @returns `[batch, side, side, channels]`, in 0..255
 */
export function resizeBicubic(
  levels: Float32Array,
  [channels, height, width]: readonly [number, number, number],
  side: number,
): Float32Array {
  const batch = levels.length / (channels * height * width);
  const out = new Float32Array(batch * side * side * channels);
  const across = filterTaps(width, side), down = filterTaps(height, side);
  const narrow = new Float64Array(height * side);
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let y = 0; y < height; y++) {
      const row = levels.subarray((plane * height + y) * width, (plane * height + y + 1) * width);
      for (let x = 0; x < side; x++) {
        const { start, weights } = across[x]!;
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k]! * row[start + k]!;
        narrow[y * side + x] = sum;
      }
    }
    const image = Math.floor(plane / channels), channel = plane % channels;
    for (let y = 0; y < side; y++) {
      const { start, weights } = down[y]!;
      for (let x = 0, at = (image * side + y) * side * channels + channel; x < side; x++, at += channels) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k]! * narrow[(start + k) * side + x]!;
        out[at] = Math.min(255, Math.max(0, sum));
      }
    }
  }
  return out;
}

/** The inputs that one output is made of: `weights[k]` of input `start + k`, in all 1. */
interface Taps {
  readonly start: number;
  readonly weights: Float64Array;
}

/** The cubic kernel of Keys (1981), a = −½, over two pixels to either side; stretched where the image shrinks. */
function filterTaps(from: number, to: number): Taps[] {
  const scale = from / to, stretch = Math.max(scale, 1), support = 2 * stretch;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const weights = Float64Array.from({ length: end - start }, (_, k) => cubic((start + k + 0.5 - centre) / stretch));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { start, weights: weights.map((weight) => weight / total) };
  });
}

function cubic(x: number): number {
  const d = Math.abs(x);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}
