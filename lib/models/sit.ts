import { Problem } from "../core/problem.ts";
import { type Tensor, type Tensors, tf } from "../engine/mod.ts";
import { recomputed } from "../engine/recompute.ts";
import { geluTanh, silu } from "../nn/activations.ts";
import { attend, type AttentionShape } from "../nn/attention.ts";
import { classMixingWithExtra, gridFeatures, timeFeatures } from "../nn/embeddings.ts";
import { standardize } from "../nn/layer_norm.ts";
import { linear } from "../nn/linear.ts";
import { product } from "../nn/product.ts";
import { type Init, type Parameters, type ParameterSpec, within } from "../nn/parameters.ts";
import { channelsFirst, type ImageShape, patchify, unpatchify } from "../nn/patches.ts";
import type { VelocityDefinition } from "./types.ts";

/** A SiT, for example SiT-XL/4: patch 4, width 1152, depth 28, heads 16. */
export interface SitOptions {
  /** Side of a square patch, in pixels. */
  readonly patch: number;
  /** A multiple of 4 and of `heads`. */
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Multiplies t before its embedding; SiT feeds the raw t, so 1 if not said. */
  readonly timeScale?: number;
  /** Compute each block again for its gradient instead of keeping what it computed: the same numbers for less memory. */
  readonly recompute?: boolean;
}

/** Width of the sinusoidal features of t, and ε of the layer normalisations, as in the reference. */
const timeWidth = 256, normEps = 1e-6;

/**
 * The student (paper §4): SiT (arXiv 2401.08740), a transformer over patches
 * modulated by time and class, without the variance output. Parameter names
 * and layouts are the reference's; time and sign are ours (data at t = 0), see
 * `fromReferenceConvention` for its checkpoints.
 *
 * @param shape `[channels, height, width]`
 * @throws {Problem} if the options do not fit together or do not fit the shape
 */
export function sit(options: SitOptions, shape: ImageShape, classes: number): VelocityDefinition {
  checkOptions(options, shape, classes);
  return {
    specs: sitSpecs(options, shape[0], classes),
    velocity: (params, x, t, labels) => network(params, x, t, labels, options, shape, classes),
  };
}

/**
 * A velocity model whose parameters follow the reference's convention (data at
 * t = 1, velocity from noise to data) in ours: v(x, t, c) = −v_ref(x, 1 − t, c).
 */
export function fromReferenceConvention(reference: VelocityDefinition): VelocityDefinition {
  return {
    specs: reference.specs,
    velocity: (params, x, t, labels) => tf.neg(reference.velocity(params, x, tf.sub(1, t), labels)),
  };
}

function network(
  params: Parameters,
  x: Tensor,
  t: Tensor,
  labels: Tensor,
  { patch, width, depth, heads, timeScale = 1, recompute = false }: SitOptions,
  shape: ImageShape,
  classes: number,
): Tensor {
  const [channels, height, columns] = shape;
  const batch = x.shape[0]!, tokens = (height / patch) * (columns / patch);
  const attention: AttentionShape = { batch, tokens, heads, headWidth: width / heads };
  const patchWeight = params["x_embedder.proj.weight"]!.reshape([width, channels * patch * patch]);
  const embedded = linear(patchify(x, patch), patchWeight, params["x_embedder.proj.bias"]!);
  const features = timeFeatures(timeScale === 1 ? t : tf.mul(t, timeScale), timeWidth);
  const time = dense(params, "t_embedder.mlp.2", silu(dense(params, "t_embedder.mlp.0", features)));
  const table = params["y_embedder.embedding_table.weight"]!;
  const label = product(classMixingWithExtra(labels, classes), table);
  const conditioning = silu(tf.add(time, label));
  const inputs = tf.add(embedded, gridFeatures(height / patch, columns / patch, width));
  const run = (given: Tensors) => block(given, attention);
  const layer = recompute ? recomputed(run) : run;
  let h: Tensor = inputs;
  for (let i = 0; i < depth; i++) h = layer({ h, conditioning, ...within(params, `blocks.${i}`) });
  const last = within(params, "final_layer");
  const [shift, scale] = modulations(last, conditioning, 2) as [Tensor, Tensor];
  const output = dense(last, "linear", modulated(h, shift, scale));
  return unpatchify(channelsFirst(output, channels), patch, shape);
}

/** One block, from its own parameters, `conditioning` `[batch, width]` and the tokens `h` `[batch, tokens, width]`. */
function block({ h, conditioning, ...own }: Tensors, attention: AttentionShape): Tensor {
  const [batch, tokens, width] = h!.shape as [number, number, number];
  const [shift, scale, gate, mlpShift, mlpScale, mlpGate] = modulations(own, conditioning!, 6) as Tensor[];
  const qkv = dense(own, "attn.qkv", modulated(h!, shift!, scale!));
  const attended = dense(own, "attn.proj", attend(qkv.reshape([batch * tokens, 3 * width]), attention));
  const mixed = tf.add(h!, tf.mul(attended.reshape([batch, tokens, width]), gate!));
  const hidden = geluTanh(dense(own, "mlp.fc1", modulated(mixed, mlpShift!, mlpScale!)));
  return tf.add(mixed, tf.mul(dense(own, "mlp.fc2", hidden), mlpGate!));
}

function dense(params: Parameters, name: string, x: Tensor): Tensor {
  return linear(x, params[`${name}.weight`]!, params[`${name}.bias`]!);
}

/** `count` modulations of a layer, `[batch, 1, width]` each. */
function modulations(own: Parameters, conditioning: Tensor, count: number): Tensor[] {
  const [batch, width] = conditioning.shape as [number, number];
  return tf.split(dense(own, "adaLN_modulation.1", conditioning).reshape([batch, count, width]), count, 1);
}

/** Normalised tokens `[batch, tokens, width]`, scaled by 1 + scale and shifted, both `[batch, 1, width]`. */
function modulated(h: Tensor, shift: Tensor, scale: Tensor): Tensor {
  return tf.add(tf.mul(standardize(h, normEps), tf.add(scale, 1)), shift);
}

function sitSpecs({ patch, width, depth }: SitOptions, channels: number, classes: number): ParameterSpec[] {
  const zeros: Init = { kind: "zeros" }, normal: Init = { kind: "normal", std: 0.02 };
  const xavier = (fanIn: number, fanOut: number): Init => ({ kind: "uniform", bound: Math.sqrt(6 / (fanIn + fanOut)) });
  const dense = (name: string, fanIn: number, out: number, init = xavier(fanIn, out)): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [out, fanIn], init },
    { name: `${name}.bias`, shape: [out], init: zeros },
  ];
  const block = (name: string) => [
    ...dense(`${name}.attn.qkv`, width, 3 * width),
    ...dense(`${name}.attn.proj`, width, width),
    ...dense(`${name}.mlp.fc1`, width, 4 * width),
    ...dense(`${name}.mlp.fc2`, 4 * width, width),
    ...dense(`${name}.adaLN_modulation.1`, width, 6 * width, zeros),
  ];
  const pixels = channels * patch * patch;
  return [
    { name: "x_embedder.proj.weight", shape: [width, channels, patch, patch], init: xavier(pixels, width) },
    { name: "x_embedder.proj.bias", shape: [width], init: zeros },
    ...dense("t_embedder.mlp.0", timeWidth, width, normal),
    ...dense("t_embedder.mlp.2", width, width, normal),
    { name: "y_embedder.embedding_table.weight", shape: [classes + 1, width], init: normal },
    ...Array.from({ length: depth }, (_, i) => block(`blocks.${i}`)).flat(),
    ...dense("final_layer.linear", width, pixels, zeros),
    ...dense("final_layer.adaLN_modulation.1", width, 2 * width, zeros),
  ];
}

function checkOptions(options: SitOptions, [, height, columns]: ImageShape, classes: number): void {
  const { patch, width, heads, depth } = options;
  for (const [name, value] of Object.entries({ patch, width, heads, depth, "the number of classes": classes })) {
    if (Number.isSafeInteger(value) && value >= 1) continue;
    throw new Problem(
      `sit: ${name} is ${value}, but a whole number of at least 1 was expected; correct it in the recipe`,
    );
  }
  if (height % patch !== 0 || columns % patch !== 0) {
    throw new Problem(
      `sit: patch ${patch} does not divide images of ${height}×${columns}; choose a patch that divides both sides`,
    );
  }
  if (width % heads !== 0) {
    throw new Problem(`sit: ${heads} heads do not divide width ${width}; choose a number of heads that does`);
  }
  if (width % 4 !== 0) {
    throw new Problem(
      `sit: width ${width} is not a multiple of 4, which its position embedding needs; choose one that is`,
    );
  }
}
