import { countWork, type TensorOutline, type Work } from "../engine/counting/mod.ts";
import type { Tensor } from "../engine/mod.ts";
import { parameterCount, type Parameters, type ParameterSpec, unpack } from "../nn/parameters.ts";
import type { ImageShape } from "../nn/patches.ts";
import type { AutoencoderDefinition, FlowDefinition, VelocityDefinition } from "./types.ts";

/*
 * What a pass of a model takes, counted over the operations that the model
 * itself executes: a new model has nothing to declare. All are of `batch`
 * samples of `shape` `[channels, height, width]`.
 */

/** One evaluation of a velocity. */
export function velocityWork({ specs, velocity }: VelocityDefinition, shape: ImageShape, batch = 1): Promise<Work> {
  return pass(specs, { x: images(shape, batch), t: { shape: [batch] }, labels: labels(batch) }, (params, given) => ({
    velocity: velocity(params, given.x!, given.t!, given.labels!),
  }));
}

/** Data to noise. Decoding with a cache multiplies the same matrices, token by token. */
export function encodeWork({ specs, encode }: FlowDefinition, shape: ImageShape, batch = 1): Promise<Work> {
  return pass(specs, { data: images(shape, batch), labels: labels(batch) }, (params, given) => ({
    ...encode(params, given.data!, given.labels!),
  }));
}

/** The score step that removes the noise of training. */
export function denoiseWork({ specs, denoise }: FlowDefinition, shape: ImageShape, batch = 1): Promise<Work> {
  const inputs = { noisy: images(shape, batch), labels: labels(batch), noiseStd: { shape: [] } };
  return pass(specs, inputs, (params, given) => ({
    data: denoise(params, given.noisy!, given.labels!, given.noiseStd!),
  }));
}

/** Images to the Gaussian over latents. */
export function latentsWork({ specs, encode }: AutoencoderDefinition, shape: ImageShape, batch = 1): Promise<Work> {
  return pass(specs, { images: images(shape, batch) }, (params, given) => ({ ...encode(params, given.images!) }));
}

/** Latents to images. */
export function imagesWork({ specs, decode, latentShape }: AutoencoderDefinition, batch = 1): Promise<Work> {
  return pass(specs, { latents: images(latentShape, batch) }, (params, given) => ({
    images: decode(params, given.latents!),
  }));
}

const images = (shape: ImageShape, batch: number): TensorOutline => ({ shape: [batch, ...shape] });
const labels = (batch: number): TensorOutline => ({ shape: [batch], dtype: "int32" });

/** As `bindFlow` and its siblings run a model: from the flat vector. */
function pass(
  specs: readonly ParameterSpec[],
  inputs: Readonly<Record<string, TensorOutline>>,
  body: (params: Parameters, given: Readonly<Record<string, Tensor>>) => Readonly<Record<string, Tensor>>,
): Promise<Work> {
  return countWork(
    { flat: { shape: [parameterCount(specs)] }, ...inputs },
    ({ flat, ...given }) => body(unpack(flat!, specs), given),
  );
}
