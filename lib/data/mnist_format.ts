import { hashOf } from "../core/hash.ts";
import { Problem } from "../core/problem.ts";
import { readIdx } from "./idx.ts";
import { createPixelDataset } from "./pixel_dataset.ts";
import { type preparedSizes, prepareImages } from "./prepare.ts";
import type { Dataset } from "./types.ts";

/** The four files of MNIST, whose names, shapes and format later sets took over. */
export const mnistFiles = {
  train: { images: "train-images-idx3-ubyte", labels: "train-labels-idx1-ubyte" },
  test: { images: "t10k-images-idx3-ubyte", labels: "t10k-labels-idx1-ubyte" },
} as const;

/** SHA-256 of the uncompressed contents of each of the four files: a file compressed anew is still the same file. */
export type MnistDigests = Readonly<Record<string, string>>;

/** Where a set in MNIST's format is and what it must be. */
export interface MnistFormatSource {
  /** As in recipes, for example `mnist`. */
  readonly name: string;
  /** The path of the file of that name, gzipped or not. */
  readonly locate: (file: string) => Promise<string> | string;
  readonly digests: MnistDigests;
  readonly split: "train" | "test";
  readonly size: typeof preparedSizes[number];
}

/**
 * Loads one split of a ten-class set in MNIST's format.
 *
 * @throws {Problem} if a file is missing, damaged, or not the published one
 */
export async function loadMnistFormat({ name, locate, digests, split, size }: MnistFormatSource): Promise<Dataset> {
  const files = mnistFiles[split];
  const read = async (file: string, dimensions: number) => {
    const path = await locate(file);
    const { bytes, ...array } = await readIdx(path, dimensions);
    checkDigest(bytes, path, digests[file]!);
    return array;
  };
  // One after the other, so that of several faults always the same one is named.
  const images = await read(files.images, 3);
  const labels = await read(files.labels, 1);
  return createPixelDataset({
    name: `${name} ${size}x${size}`,
    split,
    shape: [1, size, size],
    classes: 10,
    pixels: prepareImages(images.values, size),
    labels: labels.values,
  });
}

function checkDigest(bytes: Uint8Array, path: string, expected: string): void {
  const found = hashOf(bytes);
  if (found === expected) return;
  throw new Problem(
    `Cannot use ${path}: its contents have SHA-256 ${found.slice(0, 12)}…, the published file has ` +
      `${expected.slice(0, 12)}…; replace the file`,
  );
}
