import { type Tensor, tf } from "../engine/mod.ts";

/**
 * Zero mean and unit variance over every group of channels and all positions
 * (Wu and He, 2018), with the biased variance, then a weight and a bias.
 *
 * @param x `[batch, height, width, channels]`
 * @param weight `[channels]`
 * @param bias `[channels]`
 * @param groups divides the number of channels
 */
export function groupNorm(x: Tensor, weight: Tensor, bias: Tensor, groups: number, eps: number): Tensor {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const positions = x.reshape([batch, height * width, channels]);
  // First over positions, then over the channels of a group: two reductions along whole axes.
  const groupMean = (values: Tensor) => {
    const means = tf.mean(values, 1).reshape([batch, groups, channels / groups]);
    return tf.tile(tf.mean(means, 2, true), [1, 1, channels / groups]).reshape([batch, 1, channels]);
  };
  const centred = tf.sub(positions, groupMean(positions));
  const scale = tf.mul(tf.rsqrt(tf.add(groupMean(tf.square(centred)), eps)), weight);
  return tf.add(tf.mul(centred, scale), bias).reshape(x.shape);
}
