import type { Tensor } from "../engine/mod.ts";
import type { Parameters, ParameterSpec } from "../nn/parameters.ts";

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
  /** The same under classifier-free guidance (`guidedVelocity`), where that is one call of the engine; `weight` is a scalar. */
  guided?(x: Tensor, t: Tensor, labels: Tensor, weight: Tensor): Tensor;
}

/** Guidance of an autoregressive flow (TarFlow): per block, on log-scale and shift. */
export interface FlowGuidance {
  /** w in u + w·(c − u); 1 is none. */
  readonly weight: number;
  /** Raises the weight linearly over the token index, as TarFlow's evaluation does. */
  readonly annealed: boolean;
  /** What is guided: log-scale ("a"), shift ("b") or, if not said, both. */
  readonly parts?: "a" | "b" | "ab";
  /** Divides the attention scores of the unconditional branch; 1 if not said. */
  readonly temperature?: number;
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

/**
 * A normalizing flow as pure functions of its parameters. `encode` and
 * `denoise` may run inside a traced function; `decode` runs traced steps of
 * its own and may not. Shapes and units as in `NormalizingFlow`.
 */
export interface FlowDefinition {
  readonly specs: readonly ParameterSpec[];
  encode(params: Parameters, data: Tensor, labels: Tensor): { readonly noise: Tensor; readonly logDeterminant: Tensor };
  decode(params: Parameters, noise: Tensor, labels: Tensor, guidance?: FlowGuidance): Tensor;
  /** @param noiseStd scalar */
  denoise(params: Parameters, noisy: Tensor, labels: Tensor, noiseStd: Tensor): Tensor;
}

/** A velocity field as a pure function of its parameters; may run inside a traced function. */
export interface VelocityDefinition {
  readonly specs: readonly ParameterSpec[];
  velocity(params: Parameters, x: Tensor, t: Tensor, labels: Tensor): Tensor;
}

/** A variational autoencoder: images to a Gaussian over latents, and latents to images. */
export interface Autoencoder {
  /**
   * The Gaussian over latents, independent between dimensions, of each image.
   * @param images `[batch, channels, height, width]`, in [-1, 1]
   * @returns mean and log-variance, both `[batch, …latentShape]`; the caller disposes them
   */
  encode(images: Tensor): { readonly mean: Tensor; readonly logVariance: Tensor };
  /**
   * @param latents `[batch, …latentShape]`, at the encoder's own scale
   * @returns `[batch, channels, height, width]`, about [-1, 1]; the caller disposes it
   */
  decode(latents: Tensor): Tensor;
}

/** An autoencoder as pure functions of its parameters; both may run inside a traced function. Shapes as in `Autoencoder`. */
export interface AutoencoderDefinition {
  readonly specs: readonly ParameterSpec[];
  /** `[channels, height, width]` of the latents. */
  readonly latentShape: readonly [number, number, number];
  encode(params: Parameters, images: Tensor): { readonly mean: Tensor; readonly logVariance: Tensor };
  decode(params: Parameters, latents: Tensor): Tensor;
}
