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
 * Kept draws are keyed by image and made again each time: the law of a pool of
 * z (`encodePool`) without its memory.
 *
 * @param rng the key of this batch
 */
export function addTeacherNoise(drawn: DataDraw, rng: Rng, { draws, std, kept }: TeacherNoiseOptions): Float32Array {
  const { batch, index } = drawn;
  if (draws === "fresh") return addNoise(batch.data, std, rng.fork("teacherNoise"));
  const places = chooseDraws(drawn, rng, draws);
  return addNoiseByRow(batch.data, std, Array.from(index, (row, i) => keyOfDraw(kept, row, places[i]!)));
}

/** Which kept draw each drawn image gets: twice its number, and one more for a mirror image. */
export function chooseDraws({ index, mirrored }: DataDraw, rng: Rng, draws: number): Int32Array {
  return rng.fork("keptDraw").integers(index.length, draws).map((draw, i) => 2 * draw + (mirrored?.[i] ?? 0));
}

/** The key of a kept draw of the image `row`. */
export function keyOfDraw(kept: Rng, row: number, place: number): Rng {
  return kept.at(row).at(place);
}
