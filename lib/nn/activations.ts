import { type Tensor, tf } from "../engine/mod.ts";

/**
 * a·(1 + erf a), which is √2·gelu(√2·a) for the exact gelu(x) = x·Φ(x): two
 * passes over the activations fewer there and one back, where maps before and
 * after take up the factors (`foldGelu`).
 */
export function scaledGelu(a: Tensor): Tensor {
  return tf.customGrad((...inputs) => {
    const [a, save] = inputs as unknown as [Tensor, (saved: Tensor[]) => void];
    const twice = tf.add(tf.erf(a), 1);
    save([a, twice]);
    return {
      value: tf.mul(a, twice),
      gradFunc: (dy: Tensor, [a, twice]: Tensor[]) => {
        // (1 + erf a) + a·(2/√π)·exp(−a²), the factor within the exponential.
        const density = tf.exp(tf.sub(Math.log(2 / Math.sqrt(Math.PI)), tf.square(a!)));
        return tf.mul(dy, tf.add(tf.mul(a!, density), twice!));
      },
    };
  })(a);
}

/** Two linear maps with the exact GELU between them as maps with `scaledGelu` between them. */
export function foldGelu<Map extends { readonly weight: Tensor; readonly bias: Tensor }>(
  up: Map,
  down: Map,
): { up: { weight: Tensor; bias: Tensor }; down: { weight: Tensor; bias: Tensor } } {
  const half = Math.SQRT1_2;
  return {
    up: { weight: tf.mul(up.weight, half), bias: tf.mul(up.bias, half) },
    down: { weight: tf.mul(down.weight, half), bias: down.bias },
  };
}

const tanhSlope = 2 * Math.sqrt(2 / Math.PI);

/**
 * The tanh approximation of GELU, 0.5·x·(1 + tanh(√(2/π)(x + 0.044715 x³))),
 * written as x·sigmoid(x·(a + b x²)): the same function, without tanh and
 * pow, which are slow on the embedded engine.
 */
export function geluTanh(x: Tensor): Tensor {
  const a = tanhSlope, b = tanhSlope * 0.044715;
  return tf.customGrad((...inputs) => {
    const [x, save] = inputs as unknown as [Tensor, (saved: Tensor[]) => void];
    const square = tf.square(x);
    const gate = tf.sigmoid(tf.mul(x, tf.add(tf.mul(square, b), a)));
    const value = tf.mul(x, gate);
    save([square, gate, value]);
    return {
      value,
      gradFunc: (dy: Tensor, [square, gate, value]: Tensor[]) => {
        // d/dx x·s(u) = s + x·s·(1 − s)·u′ = s + (y − y·s)·u′, u′ = a + 3b x²
        const inner = tf.add(tf.mul(square!, 3 * b), a);
        const bend = tf.mul(tf.sub(value!, tf.mul(value!, gate!)), inner);
        return tf.mul(dy, tf.add(bend, gate!));
      },
    };
  })(x);
}

/** x·sigmoid(x). */
export function silu(x: Tensor): Tensor {
  return tf.mul(x, tf.sigmoid(x));
}
