import { Problem } from "../core/problem.ts";

/** u/127.5 − 1 for every grey level u: 0 is −1, 255 is 1. */
const unitOfByte = Float32Array.from({ length: 256 }, (_, u) => u / 127.5 - 1);

/** Grey levels as numbers in [-1, 1]: u/127.5 − 1, written to `out` from `at` on. */
export function writeUnits(bytes: Uint8Array, out: Float32Array, at = 0): void {
  for (let i = 0; i < bytes.length; i++) out[at + i] = unitOfByte[bytes[i]!]!;
}

/**
 * Numbers as grey levels: the nearest of 0..255 to 127.5·x + 127.5, halves up, clipped outside [-1, 1].
 *
 * @throws {Problem} exit code 70 on a value that is no number: no grey level stands for it
 */
export function toBytes(images: Float32Array): Uint8Array {
  const out = new Uint8Array(images.length);
  for (let i = 0; i < images.length; i++) {
    const x = images[i]!;
    if (Number.isNaN(x)) {
      throw new Problem(`Value ${i} of a batch of images is NaN: the model diverged`, { exitCode: 70 });
    }
    out[i] = Math.min(255, Math.max(0, Math.floor(127.5 * x + 128)));
  }
  return out;
}

/**
 * Generated images at the 256 grey levels of real ones, still in [-1, 1]:
 * a metric that compares the two must not see how finely they are stored.
 */
export function quantise(images: Float32Array): Float32Array {
  const out = new Float32Array(images.length);
  writeUnits(toBytes(images), out);
  return out;
}
