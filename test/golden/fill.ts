import { sizeOf } from "../../lib/nn/parameters.ts";

/** One parameter of a golden case, as the reference names and fills it. */
export interface GoldenParameter {
  readonly name: string;
  readonly shape: number[];
  readonly scale: number;
  readonly offset: number;
}

/** A golden array, row-major. */
export interface GoldenArray {
  readonly shape: number[];
  readonly data: number[];
}

/** The values that both the reference and the tests make from a name: uniform in offset ± scale. */
export function fill(name: string, shape: readonly number[], scale: number, offset: number): Float32Array {
  const start = fnv1a32(name);
  return Float32Array.from({ length: sizeOf(shape) }, (_, i) => {
    let x = (start + Math.imul(i, 0x9E3779B9)) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x85EBCA6B);
    x = Math.imul(x ^ (x >>> 13), 0xC2B2AE35);
    x = (x ^ (x >>> 16)) >>> 0;
    return (2 * x / 2 ** 32 - 1) * scale + offset;
  });
}

function fnv1a32(text: string): number {
  let hash = 0x811C9DC5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** The case's parameters as one flat vector, in its order. */
export function fillFlat(params: readonly GoldenParameter[]): Float32Array {
  const flat = new Float32Array(params.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
  let offset = 0;
  for (const { name, shape, scale, offset: centre } of params) {
    flat.set(fill(name, shape, scale, centre), offset);
    offset += sizeOf(shape);
  }
  return flat;
}

/** The largest |actual − expected| over the RMS of expected. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let squares = 0, worst = actual.length === expected.length ? 0 : Infinity;
  for (let i = 0; i < expected.length; i++) {
    squares += expected[i]! ** 2;
    const difference = Math.abs(actual[i]! - expected[i]!);
    worst = Number.isNaN(difference) ? Infinity : Math.max(worst, difference);
  }
  return worst / Math.sqrt(squares / expected.length);
}
