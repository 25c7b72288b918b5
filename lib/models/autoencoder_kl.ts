import { Problem } from "../core/problem.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { silu } from "../nn/activations.ts";
import { attend } from "../nn/attention.ts";
import { groupNorm } from "../nn/group_norm.ts";
import { linear } from "../nn/linear.ts";
import { type Parameters, type ParameterSpec, sizeOf } from "../nn/parameters.ts";
import type { ImageShape } from "../nn/patches.ts";
import type { AutoencoderDefinition } from "./types.ts";

/** An AutoencoderKL. What is not said is as in Stable Diffusion's (sd-vae-ft-mse). */
export interface AutoencoderKlOptions {
  readonly latentChannels?: number;
  /** Channels of each level, from the image inwards; all but the last halve the side. */
  readonly widths?: readonly number[];
  /** Residual blocks of each level on the way in; on the way out one more. */
  readonly layers?: number;
  readonly groups?: number;
}

const normEps = 1e-6;
/** Where the reference keeps the log-variance. */
const logVarianceBounds = [-30, 20] as const;
type Images = ReturnType<typeof tf.tensor4d>;

/**
 * The autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752),
 * whose latents the paper's ImageNet 256 experiments live in. Parameter names
 * and layouts are those of diffusers. Latents are at the encoder's own scale; the
 * factor 0.18215 that makes their variance about one is the recipe's.
 *
 * @param shape `[channels, height, width]`, 3 channels
 * @throws {Problem} if the options do not fit together or do not fit the shape
 */
export function autoencoderKl(options: AutoencoderKlOptions, shape: ImageShape): AutoencoderDefinition {
  const full = { latentChannels: 4, widths: [128, 256, 512, 512], layers: 2, groups: 32, ...options };
  const { latentChannels, widths } = full;
  const [channels, height, width] = shape, factor = 2 ** (widths.length - 1);
  if (height % factor !== 0 || width % factor !== 0) {
    throw new Problem(
      `autoencoderKl: images of ${height}×${width} were given, but its latents need sides divisible by ${factor}`,
    );
  }
  const odd = widths.find((width) => width % full.groups !== 0);
  if (odd !== undefined) {
    throw new Problem(`autoencoderKl: ${full.groups} groups do not divide width ${odd}; choose a number that does`);
  }
  return {
    specs: specsOf(full, channels),
    latentShape: [latentChannels, height / factor, width / factor],
    encode: (params, images) => {
      const network = layersOf(params, full);
      const moments = network.conv("quant_conv", encoder(network, tf.transpose(images, [0, 2, 3, 1]), full));
      const [mean, logVariance] = tf.split(tf.transpose(moments, [0, 3, 1, 2]), 2, 1) as [Tensor, Tensor];
      return { mean, logVariance: tf.clipByValue(logVariance, ...logVarianceBounds) };
    },
    decode: (params, latents) => {
      const network = layersOf(params, full);
      const x = network.conv("post_quant_conv", tf.transpose(latents, [0, 2, 3, 1]));
      return tf.transpose(decoder(network, x, full), [0, 3, 1, 2]);
    },
  };
}

type Sizes = Required<AutoencoderKlOptions>;
type Layers = ReturnType<typeof layersOf>;

function encoder({ conv, residual, middle, last }: Layers, images: Tensor, { widths, layers }: Sizes): Tensor {
  let x = conv("encoder.conv_in", images);
  widths.forEach((_, level) => {
    const name = `encoder.down_blocks.${level}`;
    for (let i = 0; i < layers; i++) x = residual(`${name}.resnets.${i}`, x);
    if (level === widths.length - 1) return;
    // The reference pads below and on the right alone.
    const padded = tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]);
    x = conv(`${name}.downsamplers.0.conv`, padded, 2);
  });
  return last("encoder", middle("encoder.mid_block", x));
}

function decoder({ conv, residual, middle, last }: Layers, latents: Tensor, { widths, layers }: Sizes): Tensor {
  let x = middle("decoder.mid_block", conv("decoder.conv_in", latents));
  widths.forEach((_, level) => {
    const name = `decoder.up_blocks.${level}`;
    for (let i = 0; i <= layers; i++) x = residual(`${name}.resnets.${i}`, x);
    if (level === widths.length - 1) return;
    const [, height, width] = x.shape as [number, number, number, number];
    x = conv(`${name}.upsamplers.0.conv`, tf.image.resizeNearestNeighbor(x as Images, [2 * height, 2 * width]));
  });
  return last("decoder", x);
}

/** The kinds of layer, by the name that their parameters begin with. Images are `[batch, height, width, channels]`. */
function layersOf(params: Parameters, { groups }: Sizes) {
  const of = (name: string) => {
    const parameter = params[name];
    if (!parameter) throw new Error(`autoencoderKl has no parameter ${name}`);
    return parameter;
  };
  const conv = (name: string, x: Tensor, stride: 1 | 2 = 1): Tensor =>
    tf.tidy(() => {
      const filter = tf.transpose(of(`${name}.weight`), [2, 3, 1, 0]) as Images;
      const response = tf.conv2d(x as Images, filter, stride, stride === 1 ? "same" : "valid");
      return tf.add(response, of(`${name}.bias`));
    });
  const norm = (name: string, x: Tensor): Tensor =>
    tf.tidy(() => groupNorm(x, of(`${name}.weight`), of(`${name}.bias`), groups, normEps));
  const residual = (name: string, x: Tensor): Tensor =>
    tf.tidy(() => {
      const inner = conv(`${name}.conv1`, silu(norm(`${name}.norm1`, x)));
      const outer = conv(`${name}.conv2`, silu(norm(`${name}.norm2`, inner)));
      return tf.add(`${name}.conv_shortcut.weight` in params ? conv(`${name}.conv_shortcut`, x) : x, outer);
    });
  const attention = (name: string, x: Tensor): Tensor =>
    tf.tidy(() => {
      const [batch, height, width, channels] = x.shape as [number, number, number, number];
      const tokens = norm(`${name}.group_norm`, x).reshape([batch * height * width, channels]);
      const fused = (part: string) => tf.concat(["to_q", "to_k", "to_v"].map((to) => of(`${name}.${to}.${part}`)), 0);
      const qkv = linear(tokens, fused("weight"), fused("bias"));
      const mixed = attend(qkv, { batch, tokens: height * width, heads: 1, headWidth: channels });
      return tf.add(x, linear(mixed, of(`${name}.to_out.0.weight`), of(`${name}.to_out.0.bias`)).reshape(x.shape));
    });
  const middle = (name: string, x: Tensor): Tensor => {
    const attended = attention(`${name}.attentions.0`, residual(`${name}.resnets.0`, x));
    return residual(`${name}.resnets.1`, attended);
  };
  const last = (name: string, x: Tensor): Tensor => conv(`${name}.conv_out`, silu(norm(`${name}.conv_norm_out`, x)));
  return { conv, residual, middle, last };
}

/** In the order of the reference's state dict. */
function specsOf({ latentChannels, widths, layers }: Sizes, channels: number): ParameterSpec[] {
  const weighted = (name: string, shape: readonly [number, ...number[]]): ParameterSpec[] => [
    { name: `${name}.weight`, shape, init: { kind: "normal", std: sizeOf(shape.slice(1)) ** -0.5 } },
    { name: `${name}.bias`, shape: [shape[0]], init: { kind: "zeros" } },
  ];
  const conv = (name: string, from: number, to: number, side = 3) => weighted(name, [to, from, side, side]);
  const norm = (name: string, width: number): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [width], init: { kind: "ones" } },
    { name: `${name}.bias`, shape: [width], init: { kind: "zeros" } },
  ];
  const residual = (name: string, from: number, to: number) => [
    ...norm(`${name}.norm1`, from),
    ...conv(`${name}.conv1`, from, to),
    ...norm(`${name}.norm2`, to),
    ...conv(`${name}.conv2`, to, to),
    ...(from === to ? [] : conv(`${name}.conv_shortcut`, from, to, 1)),
  ];
  const level = (name: string, from: number, to: number, count: number) =>
    Array.from({ length: count }, (_, i) => residual(`${name}.resnets.${i}`, i === 0 ? from : to, to)).flat();
  const deepest = widths.at(-1)!;
  const middle = (name: string) => [
    ...norm(`${name}.attentions.0.group_norm`, deepest),
    ...["to_q", "to_k", "to_v", "to_out.0"].flatMap((to) => weighted(`${name}.attentions.0.${to}`, [deepest, deepest])),
    ...residual(`${name}.resnets.0`, deepest, deepest),
    ...residual(`${name}.resnets.1`, deepest, deepest),
  ];
  const outwards = widths.toReversed();
  return [
    ...conv("encoder.conv_in", channels, widths[0]!),
    ...widths.flatMap((width, i) => [
      ...level(`encoder.down_blocks.${i}`, widths[Math.max(0, i - 1)]!, width, layers),
      ...(i === widths.length - 1 ? [] : conv(`encoder.down_blocks.${i}.downsamplers.0.conv`, width, width)),
    ]),
    ...middle("encoder.mid_block"),
    ...norm("encoder.conv_norm_out", deepest),
    ...conv("encoder.conv_out", deepest, 2 * latentChannels),
    ...conv("decoder.conv_in", latentChannels, deepest),
    ...outwards.flatMap((width, i) => [
      ...level(`decoder.up_blocks.${i}`, outwards[Math.max(0, i - 1)]!, width, layers + 1),
      ...(i === widths.length - 1 ? [] : conv(`decoder.up_blocks.${i}.upsamplers.0.conv`, width, width)),
    ]),
    ...middle("decoder.mid_block"),
    ...norm("decoder.conv_norm_out", widths[0]!),
    ...conv("decoder.conv_out", widths[0]!, channels),
    ...conv("quant_conv", 2 * latentChannels, 2 * latentChannels, 1),
    ...conv("post_quant_conv", latentChannels, latentChannels, 1),
  ];
}
