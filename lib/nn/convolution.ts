import { type Tensor, tf } from "../engine/mod.ts";
import { product } from "./product.ts";

type Images = ReturnType<typeof tf.tensor4d>;

/**
 * A convolution over images whose channels come last, framed with zeros so that their size stays. Unlike tfjs's own it
 * has a gradient on the embedded engine.
 *
 * @param x `[batch, height, width, in]`
 * @param weight `[out, in, side, side]`, `side` odd
 * @param bias `[out]`
 * @returns `[batch, height, width, out]`
 */
export function convolution(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const filter = tf.transpose(weight, [2, 3, 1, 0]) as Images;
  const response = tf.getBackend() === "wasm" ? withGradient(x, filter) : convolve(x as Images, filter);
  return tf.add(response, bias);
}

const convolve = (x: Images, filter: Images) => tf.conv2d(x, filter, 1, "same");

const withGradient = tf.customGrad((...inputs) => {
  const [x, filter, save] = inputs as unknown as [Images, Images, (saved: Tensor[]) => void];
  save([x, filter]);
  return {
    value: convolve(x, filter),
    gradFunc: (dy: Tensor, saved: Tensor[]) => {
      const [x, filter] = saved as [Images, Images];
      // What reached an output from the left now comes from the right: the filter turned by half a circle.
      const turned = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]);
      return [convolve(dy as Images, turned), filterGradient(x, dy as Images, filter.shape)];
    },
  };
});

/** Σ over positions of (the input that the window there has at a place) ⊗ (the output's gradient there), by places. */
function filterGradient(x: Images, dy: Images, shape: Images["shape"]): Tensor {
  const [side, , channels, out] = shape, [batch, height, width] = x.shape, positions = batch * height * width;
  const margin = (side - 1) / 2, frame: [number, number] = [margin, margin];
  const framed = tf.transpose(tf.pad4d(x, [[0, 0], frame, frame, [0, 0]]), [3, 0, 1, 2]);
  const gradient = dy.reshape([positions, out]);
  const places = Array.from({ length: side * side }, (_, i) => {
    const corner = [0, 0, Math.floor(i / side), i % side];
    const seen = tf.slice(framed, corner, [channels, batch, height, width]).reshape([channels, positions]);
    return product(seen, gradient);
  });
  return tf.concat(places, 0).reshape(shape);
}

/**
 * Squares of `factor` × `factor` pixels become channels, in the order (row, column, channel).
 *
 * @param x `[batch, height, width, channels]`
 * @returns `[batch, height / factor, width / factor, factor²·channels]`
 */
export function spaceToDepth(x: Tensor, factor: number): Tensor {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const rows = x.reshape([batch * height / factor, factor, width / factor, factor * channels]);
  // One transposition of rank 4: the embedded engine is slow at higher ranks.
  return tf.transpose(rows, [0, 2, 1, 3])
    .reshape([batch, height / factor, width / factor, factor ** 2 * channels]);
}

/** The inverse of `spaceToDepth`: `[batch, height, width, depth]` to `[batch, factor·height, factor·width, depth / factor²]`. */
export function depthToSpace(x: Tensor, factor: number): Tensor {
  const [batch, height, width, depth] = x.shape as [number, number, number, number];
  const rows = x.reshape([batch * height, width, factor, depth / factor]);
  return tf.transpose(rows, [0, 2, 1, 3]).reshape([batch, factor * height, factor * width, depth / factor ** 2]);
}
