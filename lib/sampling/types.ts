import type { Tensor } from "../engine/mod.ts";
import type { VelocityModel } from "../models/types.ts";

/** Data drawn by a solver, with its cost. */
export interface Samples {
  /** `[batch, channels, height, width]`; the caller disposes it. */
  readonly data: Tensor;
  /** Velocity evaluations per sample; a guided evaluation counts once. */
  readonly nfe: number;
  /** Passes through the network per sample; guidance doubles it. */
  readonly networkPasses: number;
  /** Curvature of each trajectory (paper §4.1.1), `[batch]`, when asked for. */
  readonly curvature?: Float64Array;
}

/** A fixed-step ODE solver from noise (t = 1) to data (t = 0). */
export interface Sampler {
  readonly nfe: number;
  sample(field: GuidedField, noise: Tensor, labels: Tensor): Promise<Samples>;
}

/** A velocity field that says how many network passes one evaluation costs. */
export interface GuidedField extends VelocityModel {
  readonly passesPerEvaluation: number;
}
