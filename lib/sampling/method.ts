import type { Tensor } from "../engine/mod.ts";

/** One step of a solver, from time `from` down to time `to`. */
export interface Step {
  /** `[batch, channels, height, width]` at time `from`. */
  readonly x: Tensor;
  /** The velocity at (x, from). */
  readonly velocity: Tensor;
  readonly from: number;
  readonly to: number;
  /** The velocity at another point: one more function evaluation. */
  readonly evaluate: (x: Tensor, t: number) => Tensor;
}

/** A fixed-step rule for dx/dt = v(x, t). */
export interface Method {
  /** Global order of convergence on a smooth field. */
  readonly order: number;
  /** The number of steps that spend exactly `nfe` evaluations. Throws a Problem when there is none. */
  stepsFor(nfe: number): number;
  /** x at time `to`. Runs within a `tidy`; consumes nothing. */
  advance(step: Step): Tensor;
}
