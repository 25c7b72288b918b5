import { boxMuller } from "./box_muller.ts";

/**
 * Counter-based randomness (Philox4x32-10, Salmon et al. 2011). An `Rng` is a
 * key, not a state: the same call on the same key gives the same numbers, on
 * every engine, so step k can be re-made without steps 0..k-1, and a new
 * consumer of randomness (a new name) never shifts the others.
 *
 * @example A stream per purpose, a sub-stream per step
 * ```ts
 * import { createRng } from "./rng.ts";
 * import { assertEquals, assertNotEquals } from "@std/assert";
 * const noise = createRng(7).fork("student").fork("noise");
 * assertEquals(noise.at(3).normal(4), noise.at(3).normal(4));
 * assertNotEquals(noise.at(3).normal(4), noise.at(4).normal(4));
 * ```
 */
export interface Rng {
  /** An independent stream named `name`. */
  fork(name: string): Rng;
  /** An independent stream for the integer `index` (a step, a batch, a sample); constant time. */
  at(index: number): Rng;
  /** `count` uniform integers in [0, 2^32). */
  bits(count: number): Uint32Array;
  /** `count` uniform numbers in (0, 1), never 0 nor 1. */
  uniform(count: number): Float64Array;
  /** `count` independent N(0, 1) draws, by Box–Muller in float64. */
  normal(count: number): Float32Array;
  /** `count` uniform integers in [0, below), without modulo bias worth the name (bias < below / 2^32). */
  integers(count: number, below: number): Int32Array;
  /** A uniform permutation of 0..size-1 (Fisher–Yates). */
  permutation(size: number): Int32Array;
}

/** The root stream of a run. `seed` is any integer in [0, 2^53). */
export function createRng(seed: number): Rng {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`Cannot seed with ${seed}: expected an integer from 0 to 2^53 - 1`);
  }
  return keyed(seed >>> 0, Math.floor(seed / 2 ** 32));
}

function keyed(key0: number, key1: number): Rng {
  const bits = (count: number) => {
    const out = new Uint32Array(Math.ceil(count / 4) * 4);
    for (let block = 0; block < out.length / 4; block++) {
      philox(block, 0, 0, 0, key0, key1, out, block * 4);
    }
    return out.length === count ? out : out.subarray(0, count);
  };
  // A child's key is the cipher of its name or index under the parent's key;
  // word 3 of the counter keeps draws (0), names (1) and indices (2) apart.
  const child = (low: number, high: number, domain: number) => {
    const out = new Uint32Array(4);
    philox(low, high, 0, domain, key0, key1, out, 0);
    return keyed(out[0]!, out[1]!);
  };
  return {
    fork: (name) => child(fnv1a(name, 0x811C9DC5), fnv1a(name, 0x01000193), 1),
    at: (index) => child(index >>> 0, Math.floor(index / 2 ** 32), 2),
    bits,
    uniform: (count) => unitInterval(bits(count)),
    normal: (count) => boxMuller(bits(Math.ceil(count / 2) * 2), count),
    integers: (count, below) => Int32Array.from(bits(count), (u) => Math.floor(u / 2 ** 32 * below)),
    permutation(size) {
      const order = Int32Array.from({ length: size }, (_, i) => i);
      const draws = bits(size);
      for (let i = size - 1; i > 0; i--) {
        const j = Math.floor(draws[i]! / 2 ** 32 * (i + 1));
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      return order;
    },
  };
}

/** A loop, because `Float64Array.from` takes ten times as long. */
function unitInterval(bits: Uint32Array): Float64Array {
  const out = new Float64Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = (bits[i]! + 0.5) / 2 ** 32;
  return out;
}

function fnv1a(text: string, basis: number): number {
  let hash = basis;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** One Philox4x32-10 block: counter (c0..c3) under key (k0, k1), written to `out[at..at+3]`. */
export function philox(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
  out: Uint32Array,
  at: number,
): void {
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xD2511F53, c0), low0 = Math.imul(0xD2511F53, c0);
    const high1 = multiplyHigh(0xCD9E8D57, c2), low1 = Math.imul(0xCD9E8D57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9E3779B9) | 0;
    k1 = (k1 + 0xBB67AE85) | 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
}

/** The upper 32 bits of the 64-bit product of two 32-bit integers, both taken as unsigned; no sum here exceeds 32 bits. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xFFFF, aHigh = a >>> 16, bLow = b & 0xFFFF, bHigh = b >>> 16;
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0;
  const cross = (Math.imul(aLow, bHigh) + (middle & 0xFFFF)) | 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (cross >>> 16)) | 0;
}
