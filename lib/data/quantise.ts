import { Problem } from "../core/problem.ts";

/** u/127.5 − 1 for every grey level u: 0 is −1, 255 is 1. */
const unitOfByte = Float32Array.from({ length: 256 }, (_, u) => u / 127.5 - 1);

/** Grey levels as numbers in [-1, 1]: u/127.5 − 1, written to `out` from `at` on. */
export function writeUnits(bytes: Uint8Array, out: Float32Array, at = 0): void {
  for (let i = 0; i < bytes.length; i++) out[at + i] = unitOfByte[bytes[i]!]!;
}

/**
 * How numbers in [-1, 1] become grey levels:
 * - `127.5x+128`, cut off: the nearest of 127.5x + 127.5, halves up, as EDM, ADM and SiT store samples;
 * - `round`: the nearest, halves to even, in float32;
 * - `trunc`: 255 · 0.5(x + 1) cut off, in float32, as TarFlow hands images to torchmetrics: it takes 63 of the 256
 *   levels of real images one lower.
 */
export const quantiseModes = ["127.5x+128", "round", "trunc"] as const;
export type QuantiseMode = typeof quantiseModes[number];

const levelOf: Readonly<Record<QuantiseMode, (x: number) => number>> = {
  "127.5x+128": (x) => Math.floor(127.5 * x + 128),
  round: (x) => halfToEven(Math.fround(Math.fround(127.5 * x) + 127.5)),
  trunc: (x) => Math.floor(Math.fround(255 * Math.fround(Math.fround(asTorch(x) + 1) / 2))),
};

function halfToEven(x: number): number {
  const nearest = Math.round(x);
  return nearest - x === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}

/** A grey level as PyTorch's ToTensor and Normalize(½, ½) leave it, which can differ in the last bit; others as they are. */
function asTorch(x: number): number {
  const level = Math.floor(127.5 * x + 128);
  if (x !== unitOfByte[level]) return x;
  return Math.fround(Math.fround(Math.fround(level / 255) - 0.5) / 0.5);
}

/**
 * Numbers as grey levels, clipped outside [-1, 1].
 *
 * @throws {Problem} exit code 70 on a value that is no number: no grey level stands for it
 */
export function toBytes(images: Float32Array, mode: QuantiseMode = "127.5x+128"): Uint8Array {
  const out = new Uint8Array(images.length), level = levelOf[mode];
  for (let i = 0; i < images.length; i++) {
    const x = images[i]!;
    if (Number.isNaN(x)) {
      throw new Problem(`Value ${i} of a batch of images is NaN: the model diverged`, { exitCode: 70 });
    }
    out[i] = Math.min(255, Math.max(0, level(x)));
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
