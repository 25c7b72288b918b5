import type { Rng } from "../core/rng.ts";
import { addNoise, addNoiseByRow } from "../data/add_noise.ts";
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
  if (draws === "fresh") return addNoise(batch.data, std, rng.fork("teacherNoise"));
  const chosen = rng.fork("keptDraw").integers(index.length, draws);
  const keys = Array.from(index, (row, i) => kept.at(row).at(2 * chosen[i]! + (mirrored?.[i] ?? 0)));
  return addNoiseByRow(batch.data, std, keys);
}
