import { atOnce, joined, partsOf, repeat, type Tensor, type Tensors, tf, trace, writeRow } from "../engine/mod.ts";
import { foldGelu, scaledGelu } from "../nn/activations.ts";
import { causalMask } from "../nn/attention.ts";
import { classMixing } from "../nn/embeddings.ts";
import { foldNorm, standardize } from "../nn/layer_norm.ts";
import { product } from "../nn/product.ts";
import type { FlowGuidance } from "./types.ts";
import { type BlockParameters, type BlockSizes, layer, layerCount, normEps, rowEmbedding } from "./tarflow_block.ts";

/** Guidance as the steps need it. */
export interface StepGuidance {
  /** `[tokens − 1, 2·tokenWidth]`: the weight of each output, log-scales first, at each step. */
  readonly weights: Tensor;
  /** A scalar: what the queries of the unconditional branch are divided by; absent where that is 1. */
  readonly temperature?: Tensor;
}

/** What the inverse of a block is made from, besides its parameters. */
export interface Inverted {
  /** `[batch, tokens, tokenWidth]` */
  readonly z: Tensor;
  /** Class mixing `[batch, classes]`. */
  readonly mixing?: Tensor;
  readonly guidance?: StepGuidance;
}

/** The inverse of a block, `[batch, tokens, tokenWidth]`, which the caller disposes. */
export type BlockInverse = (block: BlockParameters, inverted: Inverted, flipped: boolean) => Tensor;

/** The inverse of one TarFlow's blocks, of those that read the tokens from the start and of those that are flipped. */
export function blockInverse(sizes: BlockSizes): BlockInverse {
  const body = ({ z, mixing, weights, temperature, ...block }: Tensors) => {
    const parts = partsOf({ z: z!, ...(mixing && { mixing }) });
    const folded = atOnce([block], {}, (block) => fold(block, sizes))[0]!;
    const shared = { ...folded, ...(weights && { weights }), ...(temperature && { temperature }) };
    return joined(atOnce(parts, shared, (inputs) => ({ x: invert(inputs, sizes) })));
  };
  const run = trace("tarflow_decode", body, { compile: true });
  const straight = (block: BlockParameters, { z, mixing, guidance }: Inverted) =>
    run({ ...block, z, ...(mixing && { mixing }), ...guidance }).x;
  return (block, inverted, flipped) => {
    if (!flipped) return straight(block, inverted);
    // Turned round out here, so that what is compiled is one function for both.
    return tf.tidy(() => {
      const pos_embed = tf.reverse(block.pos_embed!, 0), z = tf.reverse(inverted.z, 1);
      return tf.reverse(straight({ ...block, pos_embed }, { ...inverted, z }), 1);
    });
  };
}

/** Pieces of a block's tokens whose steps read equally many keys, filled or not: more read less, and take longer to compile. */
const stretches = 3;

/**
 * Token by token, x = z·exp(xa) + xb, where xa and xb of a token are known once
 * the tokens before it are. Keys and values of these are kept, and grow from
 * stretch to stretch.
 *
 * Activations are `[width, rows]`: of few samples, the time of a product is that of
 * reading its weights, and as its first factor these are read once, in the order in which they lie.
 */
function invert({ z, mixing, ...folded }: Tensors, sizes: BlockSizes): Tensor {
  const { tokens, tokenWidth, width, headWidth, classes } = sizes, { weights, temperature } = folded;
  const batch = z!.shape[0]!, rows = weights ? 2 * batch : batch, lines = rows * width / headWidth;
  // The unconditional branch rides along as the second half of the rows.
  const unlabelled = () => classMixing(tf.fill([batch], -1, "int32"), classes);
  const rowMixing = mixing && weights ? tf.concat([mixing, unlabelled()], 0) : mixing;
  const half = [1, batch, 1];
  const common = {
    ...folded,
    row: tf.add(tf.transpose(rowEmbedding(folded, rowMixing, sizes)), tf.zeros([1, rows])),
    ...(temperature && { temperature: tf.concat([tf.ones(half), tf.mul(tf.ones(half), temperature)], 1) }),
  };
  // Row k of x is noise until step k − 1 puts data there.
  let x = tf.transpose(z!, [1, 2, 0]).reshape([1, tokens, tokenWidth * batch]);
  let cache: Tensors = {};
  const layers = Object.keys(folded).filter((name) => /^qkv\d+\.weight$/.test(name)).length;
  const steps = tokens - 1, stretch = Math.ceil(steps / stretches);
  for (let start = 0; start < steps; start += stretch) {
    const end = Math.min(start + stretch, steps);
    const visible = tf.slice(causalMask(end), [start, 0], [end - start, end]);
    const state = repeat(
      end - start,
      { x, ...grown(cache, layers, [lines, end, headWidth]) },
      { ...common, visible, start: tf.scalar(start, "int32") },
      ({ x, ...cache }, constants, round) => decodeToken(x!, { ...cache }, constants, round, sizes),
    );
    ({ x, ...cache } = state as { x: Tensor });
  }
  return tf.transpose(x.reshape([tokens, tokenWidth, batch]), [2, 0, 1]);
}

/** Keys and values of every layer, with room for `shape[1]` tokens. */
function grown(
  cache: Tensors,
  layers: number,
  shape: readonly [lines: number, tokens: number, width: number],
): Tensors {
  const names = Array.from({ length: layers }, (_, i) => [`keys${i}`, `values${i}`]).flat();
  return Object.fromEntries(names.map((name) => {
    const x = cache[name];
    if (!x) return [name, tf.zeros([...shape])];
    return [name, tf.pad(x, [[0, 0], [0, shape[1] - x.shape[1]!], [0, 0]])];
  }));
}

/** The maps of a block with norms, the scale of the scores and GELU's factors folded in; and embeddings. */
function fold(block: BlockParameters, sizes: BlockSizes): Tensors {
  const { width, headWidth } = sizes, { pos_embed: positions, class_embed: classes } = block;
  const folded: Record<string, Tensor> = {
    positions: positions!,
    ...(classes && { class_embed: classes }),
    "proj_in.weight": block["proj_in.weight"]!,
    "proj_in.bias": block["proj_in.bias"]!,
  };
  const put = (name: string, { weight, bias }: { weight: Tensor; bias: Tensor }) => {
    folded[`${name}.weight`] = weight;
    folded[`${name}.bias`] = bias.reshape([-1, 1]);
  };
  const scale = tf.concat([tf.fill([width], headWidth ** -0.5), tf.ones([2 * width])]);
  for (let i = 0; i < layerCount(block); i++) {
    const name = `attn_blocks.${i}`;
    const qkv = foldNorm(layer(block, `${name}.attention.norm`), layer(block, `${name}.attention.qkv`));
    put(`qkv${i}`, { weight: tf.mul(qkv.weight, scale.reshape([-1, 1])), bias: tf.mul(qkv.bias, scale) });
    put(`proj${i}`, layer(block, `${name}.attention.proj`));
    const { up, down } = foldGelu(
      foldNorm(layer(block, `${name}.mlp.norm`), layer(block, `${name}.mlp.main.0`)),
      layer(block, `${name}.mlp.main.2`),
    );
    put(`up${i}`, up);
    put(`down${i}`, down);
  }
  put("proj_out", layer(block, "proj_out"));
  return folded;
}

/** The map `name` of `fold`, for x `[in, rows]`. */
function map(constants: Tensors, name: string, x: Tensor): Tensor {
  return tf.add(product(constants[`${name}.weight`]!, x), constants[`${name}.bias`]!);
}

/** Row `index` of the matrix `x`, `[1, columns]`. */
function rowOf(x: Tensor, index: Tensor): Tensor {
  return tf.gatherND(x, index.reshape([1, 1]));
}

/** One step: the token behind token `start + round`, and that one's keys and values. */
function decodeToken(
  x: Tensor,
  cache: Record<string, Tensor>,
  constants: Tensors,
  round: Tensor,
  sizes: BlockSizes,
): Tensors {
  const [, tokens, columns] = x.shape as [number, number, number], { tokenWidth, width } = sizes;
  const all = x.reshape([tokens, columns]);
  const position = tf.add(constants.start!, round), next = tf.add(position, tf.scalar(1, "int32"));
  const token = rowOf(all, position).reshape([tokenWidth, -1]), noise = rowOf(all, next).reshape([tokenWidth, -1]);
  const step = { cache, visible: rowOf(constants.visible!, round), position };
  const { weights } = constants;
  let h = tf.add(
    product(constants["proj_in.weight"]!, weights ? tf.concat([token, token], 1) : token),
    tf.add(constants.row!, rowOf(constants.positions!, position).reshape([width, 1])),
  );
  for (let i = 0; `qkv${i}.weight` in constants; i++) {
    h = tf.add(h, attendToCache(constants, i, h, step, sizes));
    const hidden = scaledGelu(map(constants, `up${i}`, standardize(h, normEps, 0)));
    h = tf.add(h, map(constants, `down${i}`, hidden));
  }
  let output = map(constants, "proj_out", h);
  if (weights) {
    const [conditional, unconditional] = tf.split(output, 2, 1) as [Tensor, Tensor];
    const extra = tf.mul(rowOf(weights, position).reshape([-1, 1]), tf.sub(conditional, unconditional));
    output = tf.add(unconditional, extra);
  }
  const [logScale, shift] = tf.split(output, 2, 0) as [Tensor, Tensor];
  const data = tf.add(tf.mul(noise, tf.exp(logScale)), shift);
  return { x: writeRow(x, data.reshape([1, 1, columns]), next), ...cache };
}

/** Where a step is. */
interface Step {
  /** Replaced as it is written. */
  readonly cache: Record<string, Tensor>;
  /** `[1, tokens of the cache]` */
  readonly visible: Tensor;
  readonly position: Tensor;
}

/** One token's attention over the cache and itself, whose keys and values it puts there first. */
function attendToCache(constants: Tensors, i: number, h: Tensor, step: Step, { width, headWidth }: BlockSizes): Tensor {
  const { cache, visible, position } = step;
  const rows = h.shape[1]!, heads = width / headWidth, line = [heads * rows, 1, headWidth];
  const qkv = map(constants, `qkv${i}`, standardize(h, normEps, 0)).reshape([3 * heads, headWidth, rows]);
  const [query, key, value] = tf.split(tf.transpose(qkv, [0, 2, 1]), 3, 0) as [Tensor, Tensor, Tensor];
  const keys = cache[`keys${i}`] = writeRow(cache[`keys${i}`]!, key.reshape(line), position);
  const values = cache[`values${i}`] = writeRow(cache[`values${i}`]!, value.reshape(line), position);
  const scaled = constants.temperature ? tf.div(query, constants.temperature) : query;
  const shares = tf.softmax(tf.add(tf.matMul(scaled.reshape(line), keys, false, true), visible));
  const attended = tf.transpose(tf.matMul(shares, values).reshape([heads, rows, headWidth]), [0, 2, 1]);
  return map(constants, `proj${i}`, attended.reshape([width, rows]));
}

/** The weights of every step, and the temperature. The caller disposes them. */
export function stepGuidance(guidance: FlowGuidance, { tokens, tokenWidth }: BlockSizes): StepGuidance {
  const { weight, annealed, parts = "ab", temperature = 1 } = guidance;
  const values = Float32Array.from({ length: (tokens - 1) * 2 * tokenWidth }, (_, k) => {
    const i = Math.floor(k / (2 * tokenWidth)), j = k % (2 * tokenWidth);
    const extra = (weight - 1) * (annealed ? (i + 1) / (tokens - 1) : 1);
    return parts.includes(j < tokenWidth ? "a" : "b") ? 1 + extra : 1;
  });
  const weights = tf.tensor2d(values, [tokens - 1, 2 * tokenWidth]);
  return { weights, ...(temperature !== 1 && { temperature: tf.scalar(temperature) }) };
}
