import { hashOf } from "../core/hash.ts";
import { writeUnits } from "./quantise.ts";
import type { Batch, Dataset } from "./types.ts";

/** Labelled uint8 images held in memory, and what names them. */
export interface PixelSet {
  readonly name: string;
  readonly split: "train" | "test";
  /** `[channels, height, width]`. */
  readonly shape: readonly [number, number, number];
  readonly classes: number;
  /** `[size, channels, height, width]`, row-major, 0 to 255. */
  readonly pixels: Uint8Array;
  /** `[size]`, in 0..classes-1. */
  readonly labels: Uint8Array;
}

/** The images as a `Dataset`: kept as bytes, a quarter of float32, and turned to [-1, 1] as they are gathered. */
export function createPixelDataset({ pixels, labels, ...facts }: PixelSet): Dataset {
  const { shape } = facts;
  const width = shape[2], imageSize = shape[0] * shape[1] * width, size = labels.length;
  if (pixels.length !== size * imageSize) {
    throw new RangeError(
      `Expected ${size} images of ${shape.join("x")} = ${size * imageSize} bytes, got ${pixels.length}`,
    );
  }
  return {
    ...facts,
    size,
    digest: hashOf({ shape, pixels: hashOf(pixels), labels: hashOf(labels) }),
    labels: Int32Array.from(labels),
    gather(indices, flipped) {
      const data = new Float32Array(indices.length * imageSize);
      for (let i = 0; i < indices.length; i++) {
        const row = rowOf(indices[i]!, size);
        const image = pixels.subarray(row * imageSize, (row + 1) * imageSize);
        writeImage(image, width, data, i * imageSize, flipped?.[i] === 1);
      }
      return Promise.resolve<Batch>({ data, labels: Int32Array.from(indices, (row) => labels[row]!) });
    },
  };
}

/** Grey levels in lines of `width` as numbers in [-1, 1], written to `out` from `at` on; mirrored left to right if `flipped`. */
export function writeImage(image: Uint8Array, width: number, out: Float32Array, at: number, flipped: boolean): void {
  writeUnits(image, out, at);
  if (flipped) mirror(out.subarray(at, at + image.length), width);
}

/** Reverses every line of `width` values. */
function mirror(image: Float32Array, width: number): void {
  for (let line = 0; line < image.length; line += width) image.subarray(line, line + width).reverse();
}

/** @throws {RangeError} if the set of `size` images has no such row */
export function rowOf(index: number, size: number): number {
  if (index >= 0 && index < size) return index;
  throw new RangeError(`Cannot gather image ${index}: the set has images 0 to ${size - 1}`);
}
