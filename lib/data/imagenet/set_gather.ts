import { rowOf } from "../pixel_dataset.ts";
import type { Batch, Dataset } from "../types.ts";
import type { FromPixels, FromSource } from "./gather.ts";
import { digestBytes, type SetOrder } from "./order.ts";
import type { Pool } from "./pool.ts";
import { pixelsFile } from "./prepared.ts";
import type { ImageSource } from "./source.ts";

/** Where the images of a set are read: `images` counts in the source's order. */
export interface Gathering {
  /** How a worker reads these images. */
  readonly from: (images: readonly number[]) => FromPixels | FromSource;
  /** Images that are worth a thread's while. */
  readonly share: number;
}

/** Prepared pixels: a read of 12 or 200 KB each. */
export function fromPixels(folder: string, rowsPerChunk: number): Gathering {
  return {
    share: 64,
    from: (images) => ({
      files: images.map((image) => pixelsFile(folder, Math.floor(image / rowsPerChunk))),
      places: images.map((image) => image % rowsPerChunk),
    }),
  };
}

/** The source itself, decoded and checked against the digests `[size, 32]` of its preparation. */
export function fromSource({ pick }: Required<Pick<ImageSource, "pick">>, digests: Uint8Array): Gathering {
  return {
    share: 8,
    from(images) {
      const expected = new Uint8Array(images.length * digestBytes);
      images.forEach((image, i) =>
        expected.set(digests.subarray(image * digestBytes, (image + 1) * digestBytes), i * digestBytes)
      );
      return { piece: pick(images), digests: expected };
    },
  };
}

/**
 * The `gather` of a set. Batches that are asked for before the last has come
 * are read side by side: whoever asks ahead never waits for a decoder.
 */
export function createGather(
  { rows, labels }: SetOrder,
  size: number,
  { from, share }: Gathering,
  pool: Pool,
): Dataset["gather"] {
  const imageSize = 3 * size * size;
  return async (indices, flipped): Promise<Batch> => {
    const images = Array.from(indices, (index) => rows[rowOf(index, rows.length)]!);
    const step = Math.max(share, Math.ceil(images.length / pool.threads));
    const data = new Float32Array(images.length * imageSize);
    const parts = Array.from({ length: Math.ceil(images.length / step) }, async (_, part) => {
      const begin = part * step, end = begin + step;
      const job = { size, flipped: flipped?.slice(begin, end), from: from(images.slice(begin, end)) };
      data.set(await pool.run<Float32Array>({ gather: job }), begin * imageSize);
    });
    await Promise.all(parts);
    return { data, labels: Int32Array.from(indices, (index) => labels[index]!) };
  };
}
