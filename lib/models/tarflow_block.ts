import { type Tensor, type Tensors, tf } from "../engine/mod.ts";
import { recomputed } from "../engine/recompute.ts";
import { foldGelu, scaledGelu } from "../nn/activations.ts";
import { attend, type AttentionShape } from "../nn/attention.ts";
import { foldNorm, standardize } from "../nn/layer_norm.ts";
import { linear } from "../nn/linear.ts";
import { product } from "../nn/product.ts";
import { type Init, type Parameters, type ParameterSpec, within } from "../nn/parameters.ts";

/** The sizes that the blocks of one TarFlow share. */
export interface BlockSizes {
  readonly tokens: number;
  /** Values in one token, D. */
  readonly tokenWidth: number;
  readonly width: number;
  readonly headWidth: number;
  /** 0: no class table. */
  readonly classes: number;
  /** Compute each layer again for its gradient instead of keeping what it computed. */
  readonly recompute?: boolean;
}

/** One block's own parameters, by their names within the block. */
export type BlockParameters = Parameters;

/** The ε of the reference's layer normalisation. */
export const normEps = 1e-5;

/** The parameters of a block with `layers` attention layers, in the reference's names, order and initialisation. */
export function blockSpecs({ tokens, tokenWidth, width, classes }: BlockSizes, layers: number): ParameterSpec[] {
  const embedding: Init = { kind: "normal", std: 0.01 };
  const table = { name: "class_embed", shape: [classes, 1, width], init: embedding };
  return [
    { name: "pos_embed", shape: [tokens, width], init: embedding },
    ...(classes > 0 ? [table] : []),
    ...linearSpecs("proj_in", tokenWidth, width),
    ...Array.from({ length: layers }, (_, i) => layerSpecs(`attn_blocks.${i}`, width)).flat(),
    // The weight starts at zero; the bias does not, so a fresh flow is not quite the identity.
    { name: "proj_out.weight", shape: [2 * tokenWidth, width], init: { kind: "zeros" } },
    { name: "proj_out.bias", shape: [2 * tokenWidth], init: { kind: "uniform", bound: width ** -0.5 } },
  ];
}

function layerSpecs(name: string, width: number): ParameterSpec[] {
  return [
    ...normSpecs(`${name}.attention.norm`, width),
    ...linearSpecs(`${name}.attention.qkv`, width, 3 * width),
    ...linearSpecs(`${name}.attention.proj`, width, width),
    ...normSpecs(`${name}.mlp.norm`, width),
    ...linearSpecs(`${name}.mlp.main.0`, width, 4 * width),
    ...linearSpecs(`${name}.mlp.main.2`, 4 * width, width),
  ];
}

function linearSpecs(name: string, width: number, out: number): ParameterSpec[] {
  const init: Init = { kind: "uniform", bound: width ** -0.5 };
  return [{ name: `${name}.weight`, shape: [out, width], init }, { name: `${name}.bias`, shape: [out], init }];
}

function normSpecs(name: string, width: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [width], init: { kind: "ones" } },
    { name: `${name}.bias`, shape: [width], init: { kind: "zeros" } },
  ];
}

/** The parameters of block `index`, by their names within the block. */
export function parametersOfBlock(params: Parameters, index: number): BlockParameters {
  return within(params, `blocks.${index}`);
}

/** How many attention layers `block` has. */
export function layerCount(block: BlockParameters): number {
  return Object.keys(block).filter((name) => name.endsWith(".attention.qkv.weight")).length;
}

/** A linear layer of the block by its name. */
export function layer(block: BlockParameters, name: string): { weight: Tensor; bias: Tensor } {
  return { weight: block[`${name}.weight`]!, bias: block[`${name}.bias`]! };
}

/** What is added to every token of a row: its class's embedding and the input bias, `[batch, width]`. */
export function rowEmbedding(block: BlockParameters, mixing: Tensor | undefined, { width }: BlockSizes): Tensor {
  const bias = block["proj_in.bias"]!;
  const table = block["class_embed"];
  if (!table || !mixing) return bias.reshape([1, width]);
  return tf.add(product(mixing, table.reshape([-1, width])), bias);
}

/** The conditioner of one block: log-scale xa and shift xb of every token, from the tokens before it. */
export interface Conditioning {
  /** `[batch, tokens, tokenWidth]` */
  readonly logScale: Tensor;
  readonly shift: Tensor;
}

/**
 * Reads all tokens at once. A flipped block is the same block read from the
 * other end: rather than reversing the tokens and their positions, the mask
 * and the shift by one token are turned round.
 *
 * @param x `[batch, tokens, tokenWidth]`
 * @param mixing class mixing `[batch, classes]`
 * @param mask `causalMask(tokens, flipped)`
 */
export function condition(
  block: BlockParameters,
  x: Tensor,
  mixing: Tensor | undefined,
  mask: Tensor,
  flipped: boolean,
  sizes: BlockSizes,
): Conditioning {
  const { tokens, tokenWidth, width, headWidth, recompute } = sizes;
  const batch = x.shape[0]!;
  const shape: AttentionShape = { batch, tokens, heads: width / headWidth, headWidth };
  const projected = linear(x, block["proj_in.weight"]!);
  const rows = rowEmbedding(block, mixing, sizes);
  const embedded = tf.add(tf.add(projected, block["pos_embed"]!), rows.reshape([-1, 1, width]));
  let h = embedded.reshape([batch * tokens, width]);
  const attention = (given: Tensors) => attentionLayer(given, shape);
  const again = recomputed(attention);
  for (let i = 0; i < layerCount(block); i++) {
    const own = { h, ...within(block, `attn_blocks.${i}`) };
    h = recompute ? again(own, { mask }) : attention({ ...own, mask });
  }
  const { weight, bias } = layer(block, "proj_out");
  const output = linear(h, weight, bias).reshape([batch, tokens, 2 * tokenWidth]);
  // Token i is conditioned by the output at the token before it; the first one by nothing: zeros.
  const kept = tf.slice(output, [0, flipped ? 1 : 0, 0], [batch, tokens - 1, 2 * tokenWidth]);
  const shifted = tf.pad(kept, [[0, 0], flipped ? [0, 1] : [1, 0], [0, 0]]);
  const [logScale, shift] = tf.split(shifted, 2, 2) as [Tensor, Tensor];
  return { logScale, shift };
}

/** One layer, from its own parameters, the tokens `h` `[batch·tokens, width]` and the mask. */
function attentionLayer({ h, mask, ...own }: Tensors, shape: AttentionShape): Tensor {
  const qkv = foldNorm(layer(own, "attention.norm"), layer(own, "attention.qkv"));
  const mixed = attend(linear(standardize(h!, normEps), qkv.weight, qkv.bias), shape, mask);
  const proj = layer(own, "attention.proj");
  const attended = tf.add(h!, linear(mixed, proj.weight, proj.bias));
  const { up, down } = foldGelu(foldNorm(layer(own, "mlp.norm"), layer(own, "mlp.main.0")), layer(own, "mlp.main.2"));
  const hidden = scaledGelu(linear(standardize(attended, normEps), up.weight, up.bias));
  return tf.add(attended, linear(hidden, down.weight, down.bias));
}
