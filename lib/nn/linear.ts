import { apart, productType, type Tensor, tf } from "../engine/mod.ts";
import { columnSums, product } from "./product.ts";

/**
 * x Wᵀ + b, or x Wᵀ without a bias, as one product over all leading axes.
 *
 * @param x `[..., in]`
 * @param weight `[out, in]`
 * @param bias `[out]`
 * @returns `[..., out]`
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const [out, width] = weight.shape as [number, number];
  if (x.rank !== 2) return linear(x.reshape([-1, width]), weight, bias).reshape([...x.shape.slice(0, -1), out]);
  return bias ? affine(x, weight, bias) : linearMap(x, weight);
}

// tfjs's own gradient reads factors transposed, which the embedded engine does slowly (see product.ts).
const linearMap = tf.customGrad((...inputs) => {
  const [x, weight, save] = inputs as unknown as [Tensor, Tensor, (saved: Tensor[]) => void];
  save([x, weight]);
  return { value: product(x, weight, { b: true }), gradFunc: (dy: Tensor, saved: Tensor[]) => gradients(dy, saved) };
});

const affine = tf.customGrad((...inputs) => {
  const [x, weight, bias, save] = inputs as unknown as [Tensor, Tensor, Tensor, (saved: Tensor[]) => void];
  save([x, weight]);
  return {
    value: tf.add(product(x, weight, { b: true }), bias),
    gradFunc: (dy: Tensor, saved: Tensor[]) => [...gradients(dy, saved), columnSums(dy)],
  };
});

function gradients(dy: Tensor, saved: Tensor[]): [dx: Tensor, dWeight: Tensor] {
  const [x, weight] = saved as [Tensor, Tensor];
  // In float32 the factor that is read transposed is rearranged first: better the narrower one, and the result turned round.
  const dWeight = productType() === "float32" && dy.shape[1]! > x.shape[1]!
    ? tf.transpose(apart(product(x, dy, { a: true })))
    : product(dy, x, { a: true });
  return [product(dy, weight), dWeight];
}
