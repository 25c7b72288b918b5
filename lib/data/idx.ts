import { readBytes } from "../core/files.ts";
import { Problem } from "../core/problem.ts";

/** An array of unsigned bytes as an IDX file stores it: the format of MNIST and its successors. */
export interface IdxArray {
  /** For images `[count, height, width]`, for labels `[count]`. */
  readonly shape: readonly number[];
  /** Row-major. */
  readonly values: Uint8Array;
}

/**
 * Reads an IDX file of unsigned bytes, gzipped or not (told by its first
 * bytes, not by its name).
 *
 * @param dimensions 3 for images, 1 for labels
 * @returns the array, and the uncompressed bytes of the whole file for a checksum
 * @throws {Problem} naming the file: missing, damaged, of another type, or of another length than its header says
 */
export async function readIdx(path: string, dimensions: number): Promise<IdxArray & { readonly bytes: Uint8Array }> {
  const stored = await readBytes(path);
  const gzipped = stored[0] === 0x1F && stored[1] === 0x8B;
  const bytes = gzipped ? await gunzip(stored, path) : stored;
  return { ...parseIdx(bytes, path, dimensions), bytes };
}

/**
 * The array in the bytes of an IDX file, sharing their memory.
 *
 * @param source names the bytes in messages
 * @param dimensions how many the file must have
 * @throws {Problem} as `readIdx` does
 */
export function parseIdx(bytes: Uint8Array, source: string, dimensions: number): IdxArray {
  const headerLength = 4 + 4 * dimensions;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const expected = 0x0800 + dimensions; // two zero bytes, 0x08 for unsigned bytes, the number of dimensions
  const magic = bytes.length >= 4 ? view.getUint32(0) : -1;
  if (magic !== expected) {
    const found = magic < 0 ? `has ${bytes.length} bytes` : `begins with ${hex(magic)}`;
    throw new Problem(
      `Cannot read ${source}: it ${found}, where an IDX file of unsigned bytes in ${dimensions} ` +
        `dimension${dimensions === 1 ? "" : "s"} begins with ${hex(expected)}; replace the file`,
    );
  }
  if (bytes.length < headerLength) {
    throw new Problem(
      `Cannot read ${source}: its header ends after ${bytes.length} of ${headerLength} bytes; replace the file`,
    );
  }
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  const promised = shape.reduce((product, n) => product * n, 1);
  const present = bytes.length - headerLength;
  if (present !== promised) {
    throw new Problem(
      `Cannot read ${source}: its header says ${
        shape.join("x")
      } = ${promised} bytes and ${present} follow; replace the file`,
    );
  }
  return { shape, values: bytes.subarray(headerLength) };
}

async function gunzip(stored: Uint8Array<ArrayBuffer>, path: string): Promise<Uint8Array> {
  try {
    const stream = new Blob([stored]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw new Problem(`Cannot read ${path}: its gzip data is damaged or cut short; replace the file`, { cause });
  }
}

function hex(magic: number): string {
  return `0x${magic.toString(16).padStart(8, "0")}`;
}
