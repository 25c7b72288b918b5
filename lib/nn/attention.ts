import { type Tensor, tf } from "../engine/mod.ts";

/** Added to a score that must not count: its exponential is exactly zero in float32. */
export const masked = -1e9;

/** Sizes of one attention layer's input. */
export interface AttentionShape {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly headWidth: number;
}

/**
 * Scaled dot-product attention over fused queries, keys and values.
 *
 * @param qkv `[batch·tokens, 3·heads·headWidth]`, queries first, then keys, then values
 * @param mask added to the scores, `[tokens, tokens]`, or nothing for full attention
 * @returns `[batch·tokens, heads·headWidth]`
 */
export function attend(qkv: Tensor, { batch, tokens, heads, headWidth }: AttentionShape, mask?: Tensor): Tensor {
  // Heads lead, so that the split below copies three contiguous blocks.
  const heading = tf.transpose(qkv.reshape([batch, tokens, 3 * heads, headWidth]), [2, 0, 1, 3]);
  const [queries, keys, values] = tf.split(heading, 3, 0) as [Tensor, Tensor, Tensor];
  const scores = tf.matMul(tf.mul(queries, headWidth ** -0.5), keys, false, true);
  const weights = tf.softmax(mask ? tf.add(scores, mask) : scores);
  return tf.transpose(tf.matMul(weights, values), [1, 2, 0, 3]).reshape([batch * tokens, heads * headWidth]);
}

/** A mask `[tokens, tokens]`: each token sees itself and those before it, or after it if `backward`. */
export function causalMask(tokens: number, backward = false): Tensor {
  const values = new Float32Array(tokens * tokens);
  for (let i = 0; i < tokens; i++) {
    for (let j = 0; j < tokens; j++) values[i * tokens + j] = (backward ? j < i : j > i) ? masked : 0;
  }
  return tf.tensor2d(values, [tokens, tokens]);
}
