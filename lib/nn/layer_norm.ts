import { type Tensor, tf } from "../engine/mod.ts";

/** Zero mean and unit variance over `axis`: (x − mean) / √(var + eps), with the biased variance. */
export function standardize(x: Tensor, eps: number, axis = -1): Tensor {
  return tf.customGrad((...inputs) => {
    const [x, save] = inputs as unknown as [Tensor, (saved: Tensor[]) => void];
    const centred = tf.sub(x, tf.mean(x, axis, true));
    const inverseStd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), axis, true), eps));
    const value = tf.mul(centred, inverseStd);
    save([value, inverseStd]);
    return { value, gradFunc: (dy: Tensor, [y, scale]: Tensor[]) => standardizeGradient(dy, y!, scale!, axis) };
  })(x);
}

function standardizeGradient(dy: Tensor, y: Tensor, inverseStd: Tensor, axis: number): Tensor {
  const alongY = tf.mul(y, tf.mean(tf.mul(dy, y), axis, true));
  return tf.mul(tf.sub(tf.sub(dy, tf.mean(dy, axis, true)), alongY), inverseStd);
}

/** Layer normalisation with weight and bias `[channels]`. */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor {
  return tf.add(tf.mul(standardize(x, eps), weight), bias);
}

/**
 * The linear map of `layerNorm(x)` as a linear map of `standardize(x)`: weight
 * and bias of the norm are folded into those of the map. Two passes over the
 * activations and two reductions in the gradient fewer, for the same result.
 */
export function foldNorm(
  norm: { weight: Tensor; bias: Tensor },
  map: { weight: Tensor; bias: Tensor },
): { weight: Tensor; bias: Tensor } {
  const shift = tf.sum(tf.mul(map.weight, norm.bias), 1);
  return { weight: tf.mul(map.weight, norm.weight), bias: tf.add(map.bias, shift) };
}
