import { type Tensor, tf } from "../engine/mod.ts";

/** `[channels, height, width]` of an image. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/**
 * Images to tokens, row by row, each patch in channel-major order (channel, row, column).
 *
 * @param images `[batch, channels, height, width]`
 * @returns `[batch, tokens, channels·patch²]`
 */
export function patchify(images: Tensor, patch: number): Tensor {
  const [batch, channels, height, width] = images.shape as [number, number, number, number];
  const rows = height / patch, columns = width / patch, tokens = rows * columns;
  // Two transpositions of rank 4: the embedded engine is slow at higher ranks.
  const inRows = images.reshape([batch * channels * rows, patch, columns, patch]);
  const pieces = tf.transpose(inRows, [0, 2, 1, 3]).reshape([batch, channels, tokens, patch * patch]);
  const ordered = channels === 1 ? pieces : tf.transpose(pieces, [0, 2, 1, 3]);
  return ordered.reshape([batch, tokens, channels * patch * patch]);
}

/** The inverse of `patchify`: `[batch, tokens, channels·patch²]` to `[batch, channels, height, width]`. */
export function unpatchify(tokens: Tensor, patch: number, [channels, height, width]: ImageShape): Tensor {
  const batch = tokens.shape[0]!, rows = height / patch, columns = width / patch;
  const ordered = tokens.reshape([batch, rows * columns, channels, patch * patch]);
  const pieces = channels === 1 ? ordered : tf.transpose(ordered, [0, 2, 1, 3]);
  const inRows = pieces.reshape([batch * channels * rows, columns, patch, patch]);
  return tf.transpose(inRows, [0, 2, 1, 3]).reshape([batch, channels, height, width]);
}

/** Tokens whose channels come last (row, column, channel), as SiT's final layer writes them, to channel-major order. */
export function channelsFirst(tokens: Tensor, channels: number): Tensor {
  if (channels === 1) return tokens;
  const [batch, count, width] = tokens.shape as [number, number, number];
  return tf.transpose(tokens.reshape([batch, count, width / channels, channels]), [0, 1, 3, 2])
    .reshape([batch, count, width]);
}
