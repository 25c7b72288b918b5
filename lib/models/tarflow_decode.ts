import { type Tensor, type Tensors, tf, trace, type Traced, writeRow } from "../engine/mod.ts";
import { foldGelu, scaledGelu } from "../nn/activations.ts";
import { causalMask } from "../nn/attention.ts";
import { foldNorm, standardize } from "../nn/layer_norm.ts";
import { linear } from "../nn/linear.ts";
import type { FlowGuidance } from "./types.ts";
import { type BlockParameters, type BlockSizes, layer, layerCount, normEps, rowEmbedding } from "./tarflow_block.ts";

/** Tokens that one call decodes, at least and at most: so many steps are recorded one behind the other. */
const shortestRun = 6, longestRun = 16;
/** Tokens whose keys and values lie in one tensor: a step reads all of it, whether filled or not. */
const longestSegment = 128;

/** The functions of the blocks that are equally deep, recorded once. */
export interface DecodeSteps {
  /** What all steps of a block share, from its parameters and `mixing`: once instead of at every step. */
  readonly fold: Traced<Tensors, Tensors>;
  /** So many token steps, from any position on. */
  run(count: number): Traced<Tensors, Tensors>;
}

/** Guidance as the steps need it: the unconditional branch rides along as the second half of the rows. */
interface StepGuidance {
  /** `[tokens − 1, 2·tokenWidth]`: the weight of each output, log-scales first, at each step. */
  readonly weights: Tensor;
  /** `[2·batch · heads, 1, 1]`: what the queries are divided by; absent where that is 1. */
  readonly temperature?: Tensor;
}

/** The steps of one TarFlow, made when first needed: for each depth, with and without guidance. */
export function decodeSteps(sizes: BlockSizes): (layers: number, guided: boolean) => DecodeSteps {
  const made = new Map<string, Traced<Tensors, Tensors>>();
  const once = (name: string, make: () => Traced<Tensors, Tensors>) => {
    let found = made.get(name);
    if (!found) made.set(name, found = make());
    return found;
  };
  return (layers, guided) => ({
    fold: once("fold", () => trace("tarflow_fold", (block) => fold(block, sizes))),
    run: (count) => {
      const name = `tarflow_decode_${count}_steps_${layers}_layers${guided ? "_guided" : ""}`;
      const body = (inputs: Tensors) => decodeRun(inputs, count, layers, guided, sizes);
      return once(name, () => trace(name, body, { compile: true }));
    },
  });
}

/** Keys and values of every layer of a block, and which of them a step sees. */
export interface DecodeCache {
  /** `keys0.0`, `values0.0`, `keys0.1` … by layer and segment: `[rows · heads, segment, headWidth]`. */
  readonly tensors: Record<string, Tensor>;
  /** `[segment, segment]`: added to the scores of the segment in which a step is. */
  readonly visible: Tensor;
  /** Steps in a segment and in a call. */
  readonly segment: number;
  readonly run: number;
}

/**
 * An empty cache for blocks of up to `layers` layers, one after the other: what
 * a block leaves behind is never visible to the next. The caller disposes it.
 *
 * @param rows the batch, twice that with guidance
 */
export function createCache(layers: number, rows: number, { tokens, width, headWidth }: BlockSizes): DecodeCache {
  const steps = tokens - 1, lines = rows * width / headWidth;
  const run = runLength(steps);
  const segment = steps <= longestSegment ? steps : Math.floor(longestSegment / run) * run;
  const tensors: Record<string, Tensor> = {};
  for (let i = 0; i < layers; i++) {
    for (let part = 0; part * segment < steps; part++) {
      for (const kind of ["keys", "values"]) tensors[`${kind}${i}.${part}`] = tf.zeros([lines, segment, headWidth]);
    }
  }
  return { tensors, visible: causalMask(segment), segment, run };
}

/** A run that leaves no shorter one at the end, which would be recorded and compiled for itself, if there is one. */
function runLength(steps: number): number {
  for (let run = Math.min(longestRun, steps); run >= shortestRun; run--) if (steps % run === 0) return run;
  return Math.min(longestRun, steps);
}

/** Frees what `createCache` made. */
export function disposeCache({ tensors, visible }: DecodeCache): void {
  tf.dispose([Object.values(tensors), visible]);
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
  steps: DecodeSteps,
  block: BlockParameters,
  z: Tensor,
  mixing: Tensor | undefined,
  flipped: boolean,
  sizes: BlockSizes,
  cache: DecodeCache,
  guidance?: StepGuidance,
): Tensor {
  const { tokens } = sizes, layers = layerCount(block), { segment, run } = cache;
  const rows = z.shape[0]! * (guidance ? 2 : 1);
  const inScanOrder = (x: Tensor, axis: number) => flipped ? tf.reverse(x, axis) : x;
  const { row, ...folded } = steps.fold({ ...block, ...(mixing && { mixing }) });
  const constant = tf.tidy(() => ({
    noise: tf.transpose(inScanOrder(z, 1), [1, 0, 2]),
    positions: inScanOrder(block["pos_embed"]!, 0).clone(),
    row: row!.shape[0] === rows ? row!.clone() : tf.tile(row!, [rows, 1]),
  }));
  const decoded = [tf.slice(constant.noise, 0, 1)];
  let token = tf.tidy(() => tf.squeeze(decoded[0]!, [0])) as Tensor;
  for (let start = 0; start + 1 < tokens;) {
    const part = Math.floor(start / segment), within = start % segment;
    const count = Math.min(run, tokens - 1 - start, segment - within);
    const names = Object.keys(cache.tensors).filter((name) => {
      const [layerOf, segmentOf] = name.replace(/\D+/, "").split(".").map(Number);
      return layerOf! < layers && segmentOf! <= part;
    });
    const [first, position] = [tf.scalar(start, "int32"), tf.scalar(within, "int32")];
    const { tokens: next, last, ...written } = steps.run(count)({
      ...folded,
      ...constant,
      ...(guidance as unknown as Tensors),
      ...Object.fromEntries(names.map((name) => [name, cache.tensors[name]!])),
      visible: cache.visible,
      first,
      position,
      token,
    });
    for (const [name, tensor] of Object.entries(written)) {
      cache.tensors[name]!.dispose();
      cache.tensors[name] = tensor;
    }
    tf.dispose([token, first, position]);
    decoded.push(next as tf.Tensor3D);
    token = last!;
    start += count;
  }
  const x = tf.tidy(() => inScanOrder(tf.transpose(tf.concat(decoded, 0), [1, 0, 2]), 1).clone());
  tf.dispose([token, row, decoded, Object.values(folded), Object.values(constant)] as Tensor[]);
  return x;
}

/** The maps of a block with norms, the scale of the scores and GELU's factors folded in, and the class's `row`. */
function fold({ mixing, ...block }: Tensors, sizes: BlockSizes): Tensors {
  const { width, headWidth } = sizes;
  const folded: Record<string, Tensor> = { row: rowEmbedding(block, mixing, sizes).clone() };
  const put = (name: string, { weight, bias }: { weight: Tensor; bias: Tensor }) => {
    folded[`${name}.weight`] = weight.clone(); // the caller disposes what may be the block's own
    folded[`${name}.bias`] = bias.clone();
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
  folded["proj_in.weight"] = block["proj_in.weight"]!.clone();
  return folded;
}

/** The body of a call: decodes `count` tokens behind the token `first`. */
function decodeRun(inputs: Tensors, count: number, layers: number, guided: boolean, sizes: BlockSizes): Tensors {
  const from = (start: Tensor, name: string) => {
    const rows = tf.add(start, tf.tensor2d(Array.from({ length: count }, (_, k) => [k]), [count, 1], "int32"));
    return tf.unstack(tf.gatherND(inputs[name]!, rows), 0) as Tensor[];
  };
  const { first, position } = inputs as { first: Tensor; position: Tensor };
  const noise = from(tf.add(first, tf.scalar(1, "int32")), "noise"), positions = from(first, "positions");
  const visible = from(position, "visible"), weights = guided ? from(first, "weights") : [];
  const cache: Record<string, Tensor> = Object.fromEntries(
    Object.entries(inputs).filter(([name]) => /^(keys|values)\d/.test(name)),
  );
  let token = inputs.token!;
  const tokens = noise.map((z, k) => {
    const step = { cache, visible: visible[k]!, position: tf.add(position, tf.scalar(k, "int32")) };
    let h = tf.add(
      linear(guided ? tf.concat([token, token], 0) : token, inputs["proj_in.weight"]!, positions[k]!),
      inputs.row!,
    );
    for (let i = 0; i < layers; i++) {
      h = tf.add(h, attendToCache(inputs, i, h, step, sizes));
      const up = layer(inputs, `up${i}`), down = layer(inputs, `down${i}`);
      h = tf.add(h, linear(scaledGelu(linear(standardize(h, normEps), up.weight, up.bias)), down.weight, down.bias));
    }
    const { weight, bias } = layer(inputs, "proj_out");
    let output = linear(h, weight, bias);
    if (guided) {
      const [conditional, unconditional] = tf.split(output, 2, 0) as [Tensor, Tensor];
      output = tf.add(unconditional, tf.mul(weights[k]!, tf.sub(conditional, unconditional)));
    }
    const [logScale, shift] = tf.split(output, 2, 1) as [Tensor, Tensor];
    return token = tf.add(tf.mul(z, tf.exp(logScale)), shift);
  });
  // What was not written stays what it was; a compiled function would copy it.
  const written = Object.entries(cache).filter(([name, tensor]) => tensor !== inputs[name]);
  return { tokens: tf.stack(tokens), last: token, ...Object.fromEntries(written) };
}

/** Where a step is. */
interface Step {
  /** Replaced as it is written. */
  readonly cache: Record<string, Tensor>;
  readonly visible: Tensor;
  readonly position: Tensor;
}

/** One token's attention over the cache and itself, whose keys and values it puts there first. */
function attendToCache(inputs: Tensors, i: number, h: Tensor, step: Step, { width, headWidth }: BlockSizes): Tensor {
  const { cache, visible, position } = step;
  const fused = layer(inputs, `qkv${i}`), proj = layer(inputs, `proj${i}`);
  const rows = h.shape[0]!, lines = rows * width / headWidth;
  const qkv = linear(standardize(h, normEps), fused.weight, fused.bias);
  const [query, key, value] = tf.split(qkv, 3, 1).map((x) => x.reshape([lines, 1, headWidth])) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const names = Object.keys(cache).filter((name) => name.startsWith(`keys${i}.`));
  const parts = names.map((name) => name.slice("keys".length)), newest = parts.at(-1)!;
  cache[`keys${newest}`] = writeRow(cache[`keys${newest}`]!, key, position);
  cache[`values${newest}`] = writeRow(cache[`values${newest}`]!, value, position);
  const scaled = inputs.temperature ? tf.div(query, inputs.temperature) : query;
  const scores = parts.map((part) => {
    const all = tf.matMul(scaled, cache[`keys${part}`]!, false, true);
    return part === newest ? tf.add(all, visible) : all;
  });
  const shares = tf.softmax(scores.length === 1 ? scores[0]! : tf.concat(scores, 2));
  const shareOf = scores.length === 1
    ? [shares]
    : tf.split(shares, scores.map(({ shape }) => shape[2]!), 2) as Tensor[];
  const mixed = parts.map((part, p) => tf.matMul(shareOf[p]!, cache[`values${part}`]!));
  return linear(mixed.reduce((sum, one) => tf.add(sum, one)).reshape([rows, width]), proj.weight, proj.bias);
}

/** The weights of every step, and the temperature of every row. The caller disposes them. */
export function stepGuidance(guidance: FlowGuidance, batch: number, sizes: BlockSizes): StepGuidance {
  const { tokens, tokenWidth, width, headWidth } = sizes;
  const { weight, annealed, parts = "ab", temperature = 1 } = guidance;
  const values = Float32Array.from({ length: (tokens - 1) * 2 * tokenWidth }, (_, k) => {
    const i = Math.floor(k / (2 * tokenWidth)), j = k % (2 * tokenWidth);
    const extra = (weight - 1) * (annealed ? (i + 1) / (tokens - 1) : 1);
    return parts.includes(j < tokenWidth ? "a" : "b") ? 1 + extra : 1;
  });
  const weights = tf.tensor2d(values, [tokens - 1, 2 * tokenWidth]);
  if (temperature === 1) return { weights };
  const lines = 2 * batch * width / headWidth;
  const divisors = Float32Array.from({ length: lines }, (_, i) => i < lines / 2 ? 1 : temperature);
  return { weights, temperature: tf.tensor3d(divisors, [lines, 1, 1]) };
}
