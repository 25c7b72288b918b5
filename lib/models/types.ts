import type { Tensor } from "../engine/mod.ts";

/**
 * A time-dependent vector field v(x, t, c); the student is one. Time runs from
 * data at t = 0 to noise at t = 1 (paper §2.1), so v points from data to noise.
 */
export interface VelocityModel {
  /**
   * @param x `[batch, channels, height, width]`
   * @param t `[batch]`, in [0, 1]
   * @param labels `[batch]` int32; -1 is the dropped label ∅
   * @returns `[batch, channels, height, width]`; the caller disposes it
   */
  velocity(x: Tensor, t: Tensor, labels: Tensor): Tensor;
}

/** Guidance of an autoregressive flow (TarFlow): per block, on log-scale and shift. */
export interface FlowGuidance {
  /** w in u + w·(c − u); 1 is none. */
  readonly weight: number;
  /** Raises the weight linearly over the token index, as TarFlow's evaluation does. */
  readonly annealed: boolean;
}

/** An invertible map between data and noise given a label; the teacher is one. */
export interface NormalizingFlow {
  /**
   * Data to noise, one parallel pass.
   * @param data `[batch, channels, height, width]`, noise already added
   * @param labels `[batch]` int32; -1 is ∅
   * @returns noise of the data's shape, and log|det ∂noise/∂data| `[batch]`, summed over dimensions, nats
   */
  encode(data: Tensor, labels: Tensor): { readonly noise: Tensor; readonly logDeterminant: Tensor };
  /** Noise to data, token by token with a key/value cache. Shapes as in `encode`. */
  decode(noise: Tensor, labels: Tensor, guidance?: FlowGuidance): Tensor;
  /** One score step x + σ²∇log p(x) (Tweedie), which removes the noise of std `noiseStd` that training added. */
  denoise(noisy: Tensor, labels: Tensor, noiseStd: number): Tensor;
}
