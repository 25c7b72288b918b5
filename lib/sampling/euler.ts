import { Problem } from "../core/problem.ts";
import type { Method } from "./method.ts";

/** Euler's method (paper Eq. 2): one evaluation a step, first order. */
export const euler: Method = {
  order: 1,
  stepsFor(nfe) {
    if (Number.isInteger(nfe) && nfe >= 1) return nfe;
    throw new Problem(`Cannot spend ${nfe} evaluations with euler: expected a positive integer as nfe`);
  },
  advance: ({ x, velocity, from, to }) => x.add(velocity.mul(to - from)),
};
