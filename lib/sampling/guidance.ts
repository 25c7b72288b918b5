import { tf } from "../engine/mod.ts";
import { Problem } from "../core/problem.ts";
import { guidedVelocity } from "../models/guided_velocity.ts";
import type { VelocityModel } from "../models/types.ts";
import type { GuidedField } from "./types.ts";

/** The conditional field as it is: one network pass an evaluation. */
export function unguided(model: VelocityModel): GuidedField {
  return { passesPerEvaluation: 1, velocity: (x, t, labels) => model.velocity(x, t, labels) };
}

/**
 * The field under classifier-free guidance, see `guidedVelocity`. Weight 1 is
 * no guidance and costs nothing.
 *
 * @throws Problem when `weight` is not a finite number
 */
export function withGuidance(model: VelocityModel, weight: number): GuidedField {
  if (!Number.isFinite(weight)) {
    throw new Problem(`Cannot guide with weight ${weight}: expected a finite number, 1 for no guidance`);
  }
  if (weight === 1) return unguided(model);
  const guided = model.guided ?? ((...point) => guidedVelocity(model.velocity, ...point));
  return {
    passesPerEvaluation: 2,
    velocity: (x, t, labels) => tf.tidy(() => guided(x, t, labels, tf.scalar(weight))),
  };
}
