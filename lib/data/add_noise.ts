import type { Rng } from "../core/rng.ts";

/** x + ηε′ (paper §2.2) of rows `[rows · dims]`: `std` is η, ε′ is drawn from one key. */
export function addNoise(data: Float32Array, std: number, rng: Rng): Float32Array {
  const noise = rng.normal(data.length);
  return data.map((value, i) => value + std * noise[i]!);
}

/** The same with a key for each row, so that a row's noise depends on no other's. */
export function addNoiseByRow(data: Float32Array, std: number, keys: readonly Rng[]): Float32Array {
  const dims = data.length / keys.length;
  const noisy = data.slice();
  keys.forEach((key, row) => key.normal(dims).forEach((value, i) => noisy[row * dims + i]! += std * value));
  return noisy;
}
