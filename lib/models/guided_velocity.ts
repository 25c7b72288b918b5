import { type Tensor, tf } from "../engine/mod.ts";
import type { VelocityModel } from "./types.ts";

/** The dropped label ∅. */
const dropped = -1;

/**
 * Classifier-free guidance, v_u + w·(v_c − v_u) on all channels, where v_u is
 * the velocity under the dropped label. Both come from one pass on a doubled
 * batch. Arguments are those of `velocity`; `weight` is w, a scalar.
 */
export function guidedVelocity(
  velocity: VelocityModel["velocity"],
  x: Tensor,
  t: Tensor,
  labels: Tensor,
  weight: Tensor,
): Tensor {
  const unlabelled = tf.fill(labels.shape, dropped, "int32");
  const both = velocity(tf.concat([x, x]), tf.concat([t, t]), tf.concat([labels, unlabelled]));
  const [conditional, unconditional] = tf.split(both, 2) as [Tensor, Tensor];
  return unconditional.add(conditional.sub(unconditional).mul(weight));
}
