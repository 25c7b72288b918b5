import { tf } from "../engine/mod.ts";
import { Problem } from "../core/problem.ts";
import type { VelocityModel } from "../models/types.ts";
import type { GuidedField } from "./types.ts";

/** The dropped label ∅. */
const dropped = -1;

/** The conditional field as it is: one network pass an evaluation. */
export function unguided(model: VelocityModel): GuidedField {
  return { passesPerEvaluation: 1, velocity: (x, t, labels) => model.velocity(x, t, labels) };
}

/**
 * Classifier-free guidance, v_u + w·(v_c − v_u) on all channels, where v_u is
 * the velocity under the dropped label. Both come from one pass on a doubled
 * batch. Weight 1 is no guidance and costs nothing.
 *
 * @throws Problem when `weight` is not a finite number
 */
export function withGuidance(model: VelocityModel, weight: number): GuidedField {
  if (!Number.isFinite(weight)) {
    throw new Problem(`Cannot guide with weight ${weight}: expected a finite number, 1 for no guidance`);
  }
  if (weight === 1) return unguided(model);
  return {
    passesPerEvaluation: 2,
    velocity: (x, t, labels) =>
      tf.tidy(() => {
        const unlabelled = tf.fill(labels.shape, dropped, "int32");
        const both = model.velocity(tf.concat([x, x]), tf.concat([t, t]), tf.concat([labels, unlabelled]));
        const [conditional, unconditional] = tf.split(both, 2);
        return unconditional!.add(conditional!.sub(unconditional!).mul(weight));
      }),
  };
}
