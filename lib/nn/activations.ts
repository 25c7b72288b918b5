import { type Tensor, tf } from "../engine/mod.ts";

/** x·Φ(x) with the exact normal distribution function. */
export function gelu(x: Tensor): Tensor {
  return tf.customGrad((...inputs) => {
    const [x, save] = inputs as unknown as [Tensor, (saved: Tensor[]) => void];
    const distribution = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
    save([x, distribution]);
    return {
      value: tf.mul(x, distribution),
      gradFunc: (dy: Tensor, [x, distribution]: Tensor[]) => {
        const density = tf.exp(tf.mul(tf.square(x!), -0.5));
        const slope = tf.add(tf.mul(tf.mul(x!, density), 1 / Math.sqrt(2 * Math.PI)), distribution!);
        return tf.mul(dy, slope);
      },
    };
  })(x);
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
