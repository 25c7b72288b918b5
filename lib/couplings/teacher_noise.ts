import type { Rng } from "../core/rng.ts";
import type { DataDraw } from "./data_draw.ts";

/** Where ε′, the noise that the teacher's input gets, comes from. */
export interface TeacherNoiseOptions {
  /** `fresh` at every draw, or this many draws an image and its mirror image, kept for good. */
  readonly draws: "fresh" | number;
  /** η of paper §2.2. */
  readonly std: number;
  /** The key of the draws that are kept. */
  readonly kept: Rng;
}

/**
 * x + ηε′ of drawn images, `[batch · channels · height · width]`.
 *
 * Kept draws are keyed by image and made again each time: the law of a cache
 * of z without its memory.
 *
 * @param rng the key of this batch
 */
export function addTeacherNoise({ batch, index, mirrored }: DataDraw, rng: Rng, options: TeacherNoiseOptions) {
  const { draws, std, kept } = options;
  const noisy = batch.data.slice();
  if (draws === "fresh") {
    const noise = rng.fork("teacherNoise").normal(noisy.length);
    return noisy.map((value, i) => value + std * noise[i]!);
  }
  const dimension = noisy.length / index.length;
  rng.fork("keptDraw").integers(index.length, draws).forEach((draw, i) => {
    const key = kept.at(index[i]!).at(2 * draw + (mirrored?.[i] ?? 0));
    key.normal(dimension).forEach((value, k) => noisy[i * dimension + k]! += std * value);
  });
  return noisy;
}
