import { createHash } from "node:crypto";
import { writeFileAtomic } from "../../core/files.ts";
import { hashOf } from "../../core/hash.ts";
import { seeClass, type SeenClasses } from "./class_order.ts";
import { digestBytes } from "./order.ts";
import { prepareImage } from "./prepare_image.ts";
import { readPiece } from "./read_piece.ts";
import type { Piece } from "./source.ts";

/** A run of images to prepare, and where to. */
export interface ChunkJob {
  readonly piece: Piece;
  /** `[rows]`. */
  readonly labels: Uint16Array;
  /** Side of the prepared images. */
  readonly size: number;
  /** File of the pixels `[rows, 3, size, size]`; absent where only the digests are kept. */
  readonly pixels?: string;
  /** File of the images' digests, `[rows, 32]`: SHA-256 of each one's prepared pixels. */
  readonly digests: string;
}

/** What came of a chunk; kept beside it as JSON once both files are whole. */
export interface ChunkRecord {
  readonly rows: number;
  /** SHA-256 of the pixels. */
  readonly pixels: string;
  /** SHA-256 of the file of digests. */
  readonly digests: string;
  /** Names of the images that had to be converted, with what is unusual about them. */
  readonly unusual: readonly (readonly [name: string, what: string])[];
  /** WordNet ids seen in the names, by class. */
  readonly classes: readonly (readonly [label: number, id: string])[];
}

/** An image that cannot be used: its name and a clause. */
export type Fault = readonly [name: string, what: string];

/**
 * Prepares a chunk of images and writes it, unless one of them has a fault:
 * then nothing is written and all its faults are named.
 */
export async function prepareChunk(job: ChunkJob): Promise<ChunkRecord | { readonly faults: readonly Fault[] }> {
  const { labels, size } = job, rows = labels.length, imageSize = 3 * size * size;
  const pixels = job.pixels === undefined ? undefined : new Uint8Array(rows * imageSize);
  const all = createHash("sha256"), digests = new Uint8Array(rows * digestBytes);
  const faults: Fault[] = [], unusual: [string, string][] = [], classes: SeenClasses = new Map();
  let row = 0;
  for await (const image of readPiece(job.piece)) {
    const { name, id } = image;
    const wrong = id === undefined ? undefined : seeClass(classes, labels[row]!, id);
    const made = wrong === undefined ? await prepareImage(image, size) : { fault: wrong };
    if ("fault" in made) {
      faults.push([name, made.fault]);
    } else {
      if (made.unusual.length > 0) unusual.push([name, made.unusual.join(", ")]);
      all.update(made.pixels);
      digests.set(createHash("sha256").update(made.pixels).digest(), row * digestBytes);
      pixels?.set(made.pixels, row * imageSize);
    }
    row++;
  }
  if (row !== rows) throw new RangeError(`Expected ${rows} images, read ${row}`);
  if (faults.length > 0) return { faults };
  if (pixels) await writeFileAtomic(job.pixels!, pixels);
  await writeFileAtomic(job.digests, digests);
  return { rows, pixels: all.digest("hex"), digests: hashOf(digests), unusual, classes: [...classes] };
}
