import { createHash } from "node:crypto";
import { Problem } from "../../core/problem.ts";
import { writeImage } from "../pixel_dataset.ts";
import { digestBytes } from "./order.ts";
import { prepareImage } from "./prepare_image.ts";
import { readPiece } from "./read_piece.ts";
import type { Piece } from "./source.ts";
import { readAt } from "./tar.ts";

/** Some images to read, in the order asked for: from the prepared pixels, or from the source, decoded afresh. */
export interface GatherJob {
  /** Side of the images. */
  readonly size: number;
  /** `[rows]`: where 1, the image is mirrored. */
  readonly flipped: Uint8Array | undefined;
  readonly from: FromPixels | FromSource;
}

export interface FromPixels {
  /** `[rows]`: the file of each image and its place among the images there. */
  readonly files: readonly string[];
  readonly places: readonly number[];
}

export interface FromSource {
  readonly piece: Piece;
  /** `[rows, 32]`: what the prepared pixels of each image must hash to. */
  readonly digests: Uint8Array;
}

/**
 * The images of a job, `[rows, 3, size, size]` in [-1, 1].
 *
 * @throws {Problem} if a file has gone or changed since the set was prepared
 */
export async function gatherImages({ size, flipped, from }: GatherJob): Promise<Float32Array<ArrayBuffer>> {
  const imageSize = 3 * size * size;
  const rows = "piece" in from ? from.digests.length / digestBytes : from.places.length;
  const out = new Float32Array(rows * imageSize);
  let row = 0;
  for await (const pixels of "piece" in from ? decoded(from, size) : stored(from, imageSize)) {
    writeImage(pixels, size, out, row * imageSize, flipped?.[row] === 1);
    row++;
  }
  return out;
}

async function* decoded({ piece, digests }: FromSource, size: number): AsyncGenerator<Uint8Array> {
  let row = 0;
  for await (const source of readPiece(piece)) {
    const made = await prepareImage(source, size);
    if ("fault" in made) throw changed(`${source.name} ${made.fault}`);
    const expected = digests.subarray(row * digestBytes, ++row * digestBytes);
    if (!createHash("sha256").update(made.pixels).digest().equals(expected)) {
      throw changed(`${source.name} holds another picture`);
    }
    yield made.pixels;
  }
}

/** Files kept open, the least recently used first: an epoch jumps among all of them. */
const open = new Map<string, Deno.FsFile>();
const mostOpen = 128;

function* stored({ files, places }: FromPixels, imageSize: number): Generator<Uint8Array> {
  for (const [i, path] of files.entries()) {
    let file = open.get(path);
    try {
      file ??= Deno.openSync(path);
      open.delete(path);
      open.set(path, file);
      yield readAt(file, places[i]! * imageSize, imageSize);
    } catch (cause) {
      throw changed(`${path} ${(cause as Error).message}`, cause);
    }
    if (open.size > mostOpen) {
      const [oldest, handle] = open.entries().next().value!;
      handle.close();
      open.delete(oldest);
    }
  }
}

const changed = (what: string, cause?: unknown) =>
  new Problem(`ImageNet changed since it was prepared: ${what}; restore the file`, { exitCode: 74, cause });
