import { Problem } from "../core/problem.ts";
import { euler } from "./euler.ts";
import type { Method } from "./method.ts";

/**
 * Heun's method as Karras et al. (2022) run it: two evaluations a step, and an
 * Euler step at the end, where the velocity at t = 0 would be needed. NFE is
 * 2S − 1 for S steps (paper §4); second order.
 */
export const heun: Method = {
  order: 2,
  stepsFor(nfe) {
    if (Number.isInteger(nfe) && nfe >= 1 && nfe % 2 === 1) return (nfe + 1) / 2;
    throw new Problem(
      `Cannot spend ${nfe} evaluations with heun: its steps take two and the last one takes one, ` +
        `so give an odd positive integer as nfe, or use euler`,
    );
  },
  advance(step) {
    const predicted = euler.advance(step);
    if (step.to === 0) return predicted;
    const corrected = step.evaluate(predicted, step.to);
    return step.x.add(step.velocity.add(corrected).mul((step.to - step.from) / 2));
  },
};
