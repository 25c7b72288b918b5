import { turn } from "../core/turn.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { grid as timeGrid, type GridKind } from "./grid.ts";
import type { Method } from "./method.ts";
import * as methods from "./mod.ts";
import { trackCurvature } from "./trajectory.ts";
import type { GuidedField, Sampler, Samples } from "./types.ts";

export type MethodName = keyof typeof methods;

/** A solver as a recipe states it. */
export interface SamplerOptions {
  readonly method: MethodName;
  /** Velocity evaluations per sample. */
  readonly nfe: number;
  /** Times visited; `t2` unless said otherwise (paper §4). */
  readonly grid?: GridKind;
  /** Also measure the curvature of each trajectory (paper §4.1.1). */
  readonly curvature?: boolean;
}

/**
 * A fixed-step solver of dx/dt = v(x, t, c) from noise at t = 1 to data at
 * t = 0 (paper Eq. 2). Its samples leave noise and labels as they were, and it
 * gives the event loop a turn at every step.
 *
 * @throws Problem when the method cannot spend exactly `nfe` evaluations
 */
export function sampler(options: SamplerOptions): Sampler {
  const method: Method = methods[options.method];
  const times = timeGrid(options.grid ?? "t2", method.stepsFor(options.nfe));
  return {
    nfe: options.nfe,
    sample: (field, noise, labels) => integrate(method, times, field, noise, labels, options.curvature ?? false),
  };
}

async function integrate(
  method: Method,
  times: Float64Array,
  field: GuidedField,
  noise: Tensor,
  labels: Tensor,
  wantsCurvature: boolean,
): Promise<Samples> {
  const batch = noise.shape[0]!;
  const tracker = wantsCurvature ? trackCurvature(batch) : undefined;
  let nfe = 0;
  const evaluate = (x: Tensor, t: number) => {
    nfe++;
    return tf.tidy(() => field.velocity(x, tf.fill([batch], t), labels));
  };
  let x = noise.clone();
  for (let i = 0; i + 1 < times.length; i++) {
    const [from, to] = [times[i]!, times[i + 1]!];
    const velocity = evaluate(x, from);
    const next = tf.tidy(() => method.advance({ x, velocity, from, to, evaluate }));
    await tracker?.record(velocity);
    tf.dispose([x, velocity]);
    x = next;
    await turn();
  }
  const curvature = await tracker?.finish(noise, x);
  return { data: x, nfe, networkPasses: nfe * field.passesPerEvaluation, ...(curvature && { curvature }) };
}
