import { type Tensor, type Tensors, tf, trace, type Traced } from "../engine/mod.ts";
import { gelu } from "../nn/activations.ts";
import { masked } from "../nn/attention.ts";
import { layerNorm } from "../nn/layer_norm.ts";
import { linear } from "../nn/linear.ts";
import type { FlowGuidance } from "./types.ts";
import { type BlockParameters, type BlockSizes, layer, layerCount, normEps, rowEmbedding } from "./tarflow_block.ts";

/**
 * Tokens whose keys and values are kept apart from the older ones. A step
 * writes to this window alone, so that its cost is that of reading the cache,
 * not of copying it; a full window is moved to the older part.
 */
const window = 16;

/** One token step of a block, recorded once and replayed for every position and every block as deep. */
export type DecodeStep = Traced<Tensors, Tensors>;

/** Guidance as a step needs it: the unconditional branch rides along as the second half of the rows. */
interface StepGuidance {
  /** `[2·tokenWidth]`: the weight of each output, log-scales first, at each step. */
  readonly weights: readonly Tensor[];
  /** `[2·batch, 1]`: what divides the scores of each row. */
  readonly temperature: Tensor;
}

/** The steps of one TarFlow, made when first needed: one a depth, with and without guidance. */
export function decodeSteps(sizes: BlockSizes): (layers: number, guided: boolean) => DecodeStep {
  const made = new Map<string, DecodeStep>();
  return (layers, guided) => {
    const name = `tarflow_decode_${layers}_layers${guided ? "_guided" : ""}`;
    let step = made.get(name);
    if (!step) made.set(name, step = trace(name, (inputs) => decodeStep(inputs, layers, guided, sizes)));
    return step;
  };
}

/**
 * The inverse of one block: token by token, x = z·exp(xa) + xb, where xa and
 * xb of a token are known once the tokens before it are.
 *
 * @param z `[batch, tokens, tokenWidth]`
 * @param mixing class mixing `[rows, classes]`; rows is twice the batch with guidance
 * @returns `[batch, tokens, tokenWidth]`; the caller disposes it
 */
export function invertBlock(
  step: DecodeStep,
  block: BlockParameters,
  z: Tensor,
  mixing: Tensor | undefined,
  flipped: boolean,
  sizes: BlockSizes,
  guidance?: StepGuidance,
): Tensor {
  const { tokens } = sizes;
  const rows = z.shape[0]! * (guidance ? 2 : 1);
  const noise = inScanOrder(z, 1, flipped);
  const positions = inScanOrder(block["pos_embed"]!, 0, flipped);
  const constant = {
    ...Object.fromEntries(Object.entries(block).filter(([name]) => !name.endsWith("_embed"))),
    row: tf.tidy(() => tf.tile(rowEmbedding(block, mixing, sizes), [mixing && block["class_embed"] ? 1 : rows, 1])),
    ...(guidance ? { temperature: guidance.temperature } : {}),
  };
  const slots = windowSlots();
  let cache = emptyCache(layerCount(block), rows, sizes);
  const decoded = [noise[0]!];
  for (let i = 0; i + 1 < tokens; i++) {
    if (i > 0 && i % window === 0) cache = replaced(cache, archive(cache, i - window));
    const { token, ...recent } = step({
      ...constant,
      ...cache,
      token: decoded[i]!,
      noise: noise[i + 1]!,
      position: positions[i]!,
      slot: slots.oneHot[i % window]!,
      visible: slots.visible[i % window]!,
      ...(guidance ? { weights: guidance.weights[i]! } : {}),
    });
    decoded.push(token!);
    cache = replaced(cache, { ...cache, ...recent });
  }
  const x = tf.tidy(() => tf.stack(flipped ? decoded.toReversed() : decoded, 1));
  tf.dispose([noise, positions, constant.row, decoded.slice(1), Object.values(cache), slots.oneHot, slots.visible]);
  return x;
}

function inScanOrder(x: Tensor, axis: number, flipped: boolean): Tensor[] {
  const rows = tf.unstack(x, axis);
  return flipped ? rows.reverse() : rows;
}

/** Where a step writes in the window, and what it sees of it. */
function windowSlots(): { oneHot: Tensor[]; visible: Tensor[] } {
  const row = (value: (j: number) => number) => tf.tensor1d(Float32Array.from({ length: window }, (_, j) => value(j)));
  const each = (value: (i: number, j: number) => number) =>
    Array.from({ length: window }, (_, i) => row((j) => value(i, j)));
  return { oneHot: each((i, j) => (i === j ? 1 : 0)), visible: each((i, j) => (j > i ? masked : 0)) };
}

/**
 * Keys and values `[heads, rows, places, headWidth]` of every layer: the window
 * (`recentKeys0` …), and the older tokens (`olderKeys0` …) where there can be any.
 */
function emptyCache(layers: number, rows: number, { tokens, width, headWidth }: BlockSizes): Tensors {
  const older = Math.floor((tokens - 2) / window) * window;
  const zeros = (places: number) => tf.zeros([width / headWidth, rows, places, headWidth]);
  const cache: Record<string, Tensor> = {};
  for (let i = 0; i < layers; i++) {
    for (const kind of ["Keys", "Values"]) {
      cache[`recent${kind}${i}`] = zeros(window);
      if (older > 0) cache[`older${kind}${i}`] = zeros(older);
    }
  }
  if (older > 0) cache.olderVisible = tf.fill([older], masked);
  return cache;
}

/** The cache with the full window copied to the places from `start` on of the older part. */
function archive(cache: Tensors, start: number): Tensors {
  const next: Record<string, Tensor> = { ...cache };
  for (const [name, older] of Object.entries(cache)) {
    if (!name.startsWith("older")) continue;
    const recent = name === "olderVisible" ? undefined : cache[name.replace("older", "recent")]!;
    next[name] = tf.tidy(() => {
      const axis = recent ? 2 : 0;
      const parts = tf.split(older, [start, window, older.shape[axis]! - start - window], axis);
      return tf.concat([parts[0]!, recent ?? tf.zeros([window]), parts[2]!], axis);
    });
  }
  return next;
}

/** Disposes what `next` no longer holds of `old`. */
function replaced(old: Tensors, next: Tensors): Tensors {
  for (const [name, tensor] of Object.entries(old)) if (next[name] !== tensor) tensor.dispose();
  return next;
}

/** The body of a step: embeds the token, runs the layers over the cache, and decodes the next token. */
function decodeStep(inputs: Tensors, layers: number, guided: boolean, { width, tokenWidth }: BlockSizes): Tensors {
  const { token, noise, position, row, weights } = inputs as Record<string, Tensor>;
  const batch = token!.shape[0]!;
  const tokenRows = guided ? tf.concat([token!, token!], 0) : token!;
  const recent: Record<string, Tensor> = {};
  const projected = linear(tokenRows, inputs["proj_in.weight"]!, position!);
  let h = tf.add(projected, row!);
  for (let i = 0; i < layers; i++) {
    h = tf.add(h, attendToCache(inputs, i, h, width, recent));
    const norm = layer(inputs, `attn_blocks.${i}.mlp.norm`);
    const up = layer(inputs, `attn_blocks.${i}.mlp.main.0`), down = layer(inputs, `attn_blocks.${i}.mlp.main.2`);
    const hidden = gelu(linear(layerNorm(h, norm.weight, norm.bias, normEps), up.weight, up.bias));
    h = tf.add(h, linear(hidden, down.weight, down.bias));
  }
  const { weight, bias } = layer(inputs, "proj_out");
  let output = linear(h, weight, bias);
  if (guided) {
    const [conditional, unconditional] = tf.split(output, 2, 0) as [Tensor, Tensor];
    output = tf.add(unconditional, tf.mul(weights!, tf.sub(conditional, unconditional)));
  }
  const [logScale, shift] = tf.split(output.reshape([batch, 2 * tokenWidth]), 2, 1) as [Tensor, Tensor];
  return { token: tf.add(tf.mul(noise!, tf.exp(logScale)), shift), ...recent };
}

/** One token's attention over the cache and itself; puts the updated window of layer `i` into `recent`. */
function attendToCache(inputs: Tensors, i: number, h: Tensor, width: number, recent: Record<string, Tensor>): Tensor {
  const name = `attn_blocks.${i}.attention`;
  const norm = layer(inputs, `${name}.norm`),
    fused = layer(inputs, `${name}.qkv`),
    proj = layer(inputs, `${name}.proj`);
  const [heads, rows, , headWidth] = inputs[`recentKeys${i}`]!.shape as [number, number, number, number];
  const qkv = linear(layerNorm(h, norm.weight, norm.bias, normEps), fused.weight, fused.bias);
  const leading = tf.transpose(qkv.reshape([rows, 3 * heads, headWidth]), [1, 0, 2]).reshape([
    3 * heads,
    rows,
    1,
    headWidth,
  ]);
  const [query, key, value] = tf.split(leading, 3, 0) as [Tensor, Tensor, Tensor];
  const slot = inputs.slot!.reshape([window, 1]), others = tf.sub(1, slot);
  const write = (into: Tensor, x: Tensor) => tf.add(tf.mul(into, others), tf.mul(x, slot));
  const keys = recent[`recentKeys${i}`] = write(inputs[`recentKeys${i}`]!, key);
  const values = recent[`recentValues${i}`] = write(inputs[`recentValues${i}`]!, value);
  const scaled = tf.mul(query, headWidth ** -0.5);
  const scaledQuery = inputs.temperature ? tf.div(scaled, inputs.temperature.reshape([rows, 1, 1])) : scaled;
  const scores = tf.add(tf.matMul(scaledQuery, keys, false, true), inputs.visible!);
  const olderKeys = inputs[`olderKeys${i}`], olderValues = inputs[`olderValues${i}`];
  let mixed: Tensor;
  if (olderKeys && olderValues) {
    const olderScores = tf.add(tf.matMul(scaledQuery, olderKeys, false, true), inputs.olderVisible!);
    const places = [olderKeys.shape[2]!, window];
    const [olderShare, share] = tf.split(tf.softmax(tf.concat([olderScores, scores], 3)), places, 3) as [
      Tensor,
      Tensor,
    ];
    mixed = tf.add(tf.matMul(olderShare, olderValues), tf.matMul(share, values));
  } else {
    mixed = tf.matMul(tf.softmax(scores), values);
  }
  const merged = tf.transpose(mixed.reshape([heads, rows, headWidth]), [1, 0, 2]).reshape([rows, width]);
  return linear(merged, proj.weight, proj.bias);
}

/** The weights of every step, and the temperature of every row. The caller disposes them. */
export function stepGuidance(guidance: FlowGuidance, batch: number, { tokens, tokenWidth }: BlockSizes): StepGuidance {
  const { weight, annealed, parts = "ab", temperature = 1 } = guidance;
  const weights = Array.from({ length: tokens - 1 }, (_, i) => {
    const extra = (weight - 1) * (annealed ? (i + 1) / (tokens - 1) : 1);
    const values = Float32Array.from(
      { length: 2 * tokenWidth },
      (_, j) => parts.includes(j < tokenWidth ? "a" : "b") ? 1 + extra : 1,
    );
    return tf.tensor1d(values);
  });
  const rows = Float32Array.from({ length: 2 * batch }, (_, i) => i < batch ? 1 : temperature);
  return { weights, temperature: tf.tensor2d(rows, [2 * batch, 1]) };
}
