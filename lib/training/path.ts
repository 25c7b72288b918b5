import { type Tensor, tf } from "../engine/mod.ts";

/*
 * The time direction of the whole project, stated here: data at t = 0, noise at
 * t = 1 (paper §2.1). Samplers run from 1 to 0.
 */

/**
 * The point x_t = (1 − t)·data + t·noise on the straight path between aligned endpoints (paper §2.1).
 *
 * @param data `[batch, …]`
 * @param noise `[batch, …]`
 * @param t `[batch]`
 */
export function interpolate(data: Tensor, noise: Tensor, t: Tensor): Tensor {
  const weight = t.reshape([t.size, ...data.shape.slice(1).map(() => 1)]);
  return data.mul(tf.sub(1, weight)).add(noise.mul(weight));
}

/** dx_t/dt = noise − data, the regression target: the same at every t (Eq. 1). */
export function targetVelocity(data: Tensor, noise: Tensor): Tensor {
  return noise.sub(data);
}
