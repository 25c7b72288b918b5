import { Problem } from "../core/problem.ts";
import type { Rng } from "../core/rng.ts";
import { type DataDraw, dimensionOf } from "./data_draw.ts";
import { chunk, encodeRows } from "./encodings.ts";
import { chooseDraws, keyOfDraw } from "./teacher_noise.ts";
import type { CouplingInputs, Teacher } from "./types.ts";

/** f(x + ηε′, c) of every kept draw of every image, in main memory. */
export interface Pool {
  /** `[batch · channels · height · width]`: what the teacher gives for drawn images, with the draws that `rng` chooses. */
  encodingOf(drawn: DataDraw, rng: Rng): Float32Array;
}

/**
 * Encodes every image with each of its `draws`, and its mirror image where
 * there are flips: once, instead of at every step.
 *
 * @param kept the key of the draws
 * @throws {Problem} when the memory for it cannot be had
 */
export async function encodePool(
  { dataset, flips, onProgress }: CouplingInputs,
  teacher: Teacher,
  draws: number,
  kept: Rng,
): Promise<Pool> {
  const { size } = dataset, dimension = dimensionOf(dataset.shape);
  const places = Array.from({ length: 2 * draws }, (_, place) => place).filter((place) => flips || place % 2 === 0);
  const values = allocate(places.length * size * dimension);
  const at = (place: number, row: number) => ((flips ? place : place / 2) * size + row) * dimension;
  for (const place of places) {
    for (let start = 0; start < size; start += chunk) {
      const rows = Int32Array.from({ length: Math.min(chunk, size - start) }, (_, i) => start + i);
      const mirrored = new Uint8Array(rows.length).fill(place % 2);
      const keys = Array.from(rows, (row) => keyOfDraw(kept, row, place));
      values.set((await encodeRows(dataset, teacher, rows, mirrored, keys)).noise, at(place, start));
      onProgress?.((at(place, start) + rows.length * dimension) / values.length, "encoding the pool of z");
    }
  }
  return {
    encodingOf(drawn, rng) {
      const chosen = chooseDraws(drawn, rng, draws), rows = new Float32Array(chosen.length * dimension);
      chosen.forEach((place, i) => {
        const from = at(place, drawn.index[i]!);
        rows.set(values.subarray(from, from + dimension), i * dimension);
      });
      return rows;
    },
  };
}

function allocate(length: number): Float32Array {
  try {
    return new Float32Array(length);
  } catch {
    throw new Problem(
      `There is no memory for a pool of z of ${Math.round(4 * length / 1e9)} GB: take fewer draws, or leave pool out`,
    );
  }
}
