import { hashOf } from "../../core/hash.ts";

/** Bytes of a SHA-256. */
export const digestBytes = 32;

/**
 * The order of a set: by class, and within a class by the digest of the
 * pixels. It depends on the images alone, not on the files they came in, their
 * names or their shards, so that the same images are the same set everywhere.
 */
export interface SetOrder {
  /** `[size]`: for each row of the set, which image of the source it is. */
  readonly rows: Uint32Array;
  /** `[size]`: the labels in the set's order. */
  readonly labels: Uint16Array;
}

/**
 * Sorts images into the set's order.
 *
 * @param labels `[size]`, in the source's order
 * @param digests `[size, 32]`, likewise
 */
export function orderImages(labels: Uint16Array, digests: Uint8Array): SetOrder {
  const view = new DataView(digests.buffer, digests.byteOffset, digests.byteLength);
  // Class and the first four bytes of the digest in one number, which decides nearly always.
  const keys = Float64Array.from(labels, (label, row) => label * 2 ** 32 + view.getUint32(row * digestBytes));
  const rows = Uint32Array.from(labels, (_, row) => row).sort((a, b) => {
    if (keys[a] !== keys[b]) return keys[a]! - keys[b]!;
    for (let i = 4; i < digestBytes; i++) {
      const difference = digests[a * digestBytes + i]! - digests[b * digestBytes + i]!;
      if (difference !== 0) return difference;
    }
    return 0; // the same pixels twice: either may come first
  });
  return { rows, labels: Uint16Array.from(rows, (row) => labels[row]!) };
}

/** The digest of a set: SHA-256 over shape, labels and the digests of the pixels, in the set's order. */
export function digestOf(
  shape: readonly [number, number, number],
  { rows, labels }: SetOrder,
  digests: Uint8Array,
): string {
  const inOrder = new Uint8Array(digests.length);
  rows.forEach((row, i) => inOrder.set(digests.subarray(row * digestBytes, (row + 1) * digestBytes), i * digestBytes));
  return hashOf({ shape, labels: hashOf(labels.join()), pixels: hashOf(inOrder) });
}

/** An order as bytes: rows and labels as little-endian integers of 4 and 2 bytes. */
export function encodeOrder({ rows, labels }: SetOrder): Uint8Array {
  const bytes = new Uint8Array(rows.length * 6), view = new DataView(bytes.buffer);
  rows.forEach((row, i) => view.setUint32(4 * i, row, true));
  labels.forEach((label, i) => view.setUint16(4 * rows.length + 2 * i, label, true));
  return bytes;
}

/** What `encodeOrder` wrote. */
export function decodeOrder(bytes: Uint8Array): SetOrder {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), size = bytes.length / 6;
  return {
    rows: Uint32Array.from({ length: size }, (_, i) => view.getUint32(4 * i, true)),
    labels: Uint16Array.from({ length: size }, (_, i) => view.getUint16(4 * size + 2 * i, true)),
  };
}
