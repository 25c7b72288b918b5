import type { Tensor } from "../engine/mod.ts";

/** A fixed map from a teacher's output to the student's noise, of about unit variance. */
export interface NoiseScale {
  /**
   * @param encoded `[batch, channels, height, width]`: f(x + ηε′, c)
   * @param labels `[batch]` int32: the data's own
   * @returns z, of the same shape; the caller disposes it
   */
  toNoise(encoded: Tensor, labels: Tensor): Tensor;
  /** σ_f, `[channels · height · width]`, where the map is a division by it. */
  readonly sigma?: Float32Array;
  dispose(): void;
}
