import { Problem } from "../core/problem.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { silu } from "../nn/activations.ts";
import { convolution, depthToSpace, spaceToDepth } from "../nn/convolution.ts";
import { layerNorm } from "../nn/layer_norm.ts";
import { type Parameters, type ParameterSpec, sizeOf } from "../nn/parameters.ts";
import type { ImageShape } from "../nn/patches.ts";
import type { AutoencoderDefinition } from "./types.ts";

/** A small convolutional autoencoder: one level for each halving of the image. */
export interface ConvolutionalOptions {
  /** Channels of the latents. */
  readonly latentChannels: number;
  /** Channels of each level, from the image inwards: two levels make latents of a quarter of the side. */
  readonly widths: readonly number[];
  /** Residual blocks of each level, on the way in and on the way out. */
  readonly blocks: number;
}

/** Where Stable Diffusion's code keeps the log-variance. */
const logVarianceBounds = [-30, 20] as const;

/**
 * A variational autoencoder for small images, in the place of Stable
 * Diffusion's (Rombach et al. 2022): levels of residual blocks of 3 × 3
 * convolutions between halvings of the side, no attention.
 *
 * @param shape `[channels, height, width]`
 * @throws {Problem} if the options do not fit the shape
 */
export function convolutional(options: ConvolutionalOptions, shape: ImageShape): AutoencoderDefinition {
  const { latentChannels, widths, blocks } = options;
  const factor = 2 ** widths.length, [channels, height, width] = shape;
  if (height % factor !== 0 || width % factor !== 0) {
    throw new Problem(
      `convolutional: ${widths.length} levels halve the side as often, but ${height}×${width} is not divisible by ` +
        `${factor}; give fewer widths`,
    );
  }
  return {
    specs: autoencoderSpecs(options, channels),
    latentShape: [latentChannels, height / factor, width / factor],
    encode: (params, images) => {
      let x: Tensor = tf.transpose(images, [0, 2, 3, 1]);
      widths.forEach((_, level) => {
        x = residualBlocks(
          params,
          `encoder.${level}`,
          layer(params, `encoder.${level}.in`, spaceToDepth(x, 2)),
          blocks,
        );
      });
      const moments = tf.transpose(layer(params, "encoder.out", active(params, "encoder.out", x)), [0, 3, 1, 2]);
      const [mean, logVariance] = tf.split(moments, 2, 1) as [Tensor, Tensor];
      return { mean, logVariance: tf.clipByValue(logVariance, ...logVarianceBounds) };
    },
    decode: (params, latents) => {
      let x = layer(params, "decoder.in", tf.transpose(latents, [0, 2, 3, 1]));
      for (let level = widths.length - 1; level >= 0; level--) {
        x = residualBlocks(params, `decoder.${level}`, x, blocks);
        const name = `decoder.${level}.out`;
        x = depthToSpace(layer(params, name, active(params, name, x)), 2);
      }
      return tf.transpose(x, [0, 3, 1, 2]);
    },
  };
}

function layer(params: Parameters, name: string, x: Tensor): Tensor {
  return convolution(x, params[`${name}.weight`]!, params[`${name}.bias`]!);
}

/** What goes into the layer `name`: normalised over channels at each position, then SiLU. */
function active(params: Parameters, name: string, x: Tensor): Tensor {
  return silu(layerNorm(x, params[`${name}.norm.weight`]!, params[`${name}.norm.bias`]!, 1e-6));
}

function residualBlocks(params: Parameters, name: string, x: Tensor, count: number): Tensor {
  for (let i = 0; i < count; i++) {
    const [first, second] = [`${name}.${i}.first`, `${name}.${i}.second`];
    const inner = layer(params, first, active(params, first, x));
    x = tf.add(x, layer(params, second, active(params, second, inner)));
  }
  return x;
}

function autoencoderSpecs({ latentChannels, widths, blocks }: ConvolutionalOptions, channels: number): ParameterSpec[] {
  const conv = (name: string, from: number, to: number, side = 3, gain = 1): ParameterSpec[] => {
    const shape = [to, from, side, side];
    return [
      { name: `${name}.weight`, shape, init: { kind: "normal", std: Math.sqrt(gain / sizeOf(shape.slice(1))) } },
      { name: `${name}.bias`, shape: [to], init: { kind: "zeros" } },
    ];
  };
  const active = (name: string, from: number, to: number, side = 3, gain = 2): ParameterSpec[] => [
    { name: `${name}.norm.weight`, shape: [from], init: { kind: "ones" } },
    { name: `${name}.norm.bias`, shape: [from], init: { kind: "zeros" } },
    ...conv(name, from, to, side, gain),
  ];
  const level = (name: string, width: number) =>
    Array.from({ length: blocks }, (_, i) => [
      ...active(`${name}.${i}.first`, width, width),
      // Each block starts near the identity.
      ...active(`${name}.${i}.second`, width, width, 3, 0.1),
    ]).flat();
  const outside = (index: number) => index === 0 ? channels : widths[index - 1]!;
  const last = widths.at(-1)!;
  return [
    ...widths.flatMap((width, i) => [
      ...conv(`encoder.${i}.in`, 4 * outside(i), width, i === 0 ? 3 : 1),
      ...level(`encoder.${i}`, width),
    ]),
    ...active("encoder.out", last, 2 * latentChannels),
    ...conv("decoder.in", latentChannels, last),
    ...widths.flatMap((width, i) => [
      ...level(`decoder.${i}`, width),
      ...active(`decoder.${i}.out`, width, 4 * outside(i), i === 0 ? 3 : 1),
    ]),
  ];
}
