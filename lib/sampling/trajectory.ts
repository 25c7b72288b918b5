import type { Tensor } from "../engine/mod.ts";

/** Gathers a batch of trajectories' velocities for their curvature. */
export interface CurvatureTracker {
  /** Takes the velocity at the start of one step, `[batch, …]`. */
  record(velocity: Tensor): Promise<void>;
  /** Curvature of each trajectory that went from `noise` to `data`, `[batch]`. */
  finish(noise: Tensor, data: Tensor): Promise<Float64Array>;
}

/**
 * Curvature of paper §4.1.1 (after Lee et al. 2023), per sample:
 * κ = E_i ‖x_1 − x_m − v_i‖² / n, where x_1 is the noise that the solver starts
 * from, x_m the data it ends in, and v_i the velocity with which step i leaves
 * x_i. Steps weigh the same whatever their length, and Heun's second stages
 * do not count, so the figure is comparable only within one solver and grid.
 *
 * The mean is expanded into sums over the steps, in float64: no trajectory is
 * kept, and a straight path comes out as 0 to the rounding of its float32 steps.
 */
export function trackCurvature(batch: number): CurvatureTracker {
  let steps = 0;
  let sum = new Float64Array(0);
  const squares = new Float64Array(batch);
  return {
    async record(velocity) {
      const v = await velocity.data();
      if (steps === 0) sum = new Float64Array(v.length);
      const n = v.length / batch;
      for (let i = 0; i < v.length; i++) {
        sum[i]! += v[i]!;
        squares[Math.floor(i / n)]! += v[i]! * v[i]!;
      }
      steps++;
    },
    async finish(noise, data) {
      const [start, end] = [await noise.data(), await data.data()];
      const n = start.length / batch;
      return squares.map((square, row) => {
        let total = square / steps;
        for (let i = row * n; i < (row + 1) * n; i++) {
          const chord = start[i]! - end[i]!;
          total += chord * (chord - 2 * sum[i]! / steps);
        }
        return Math.max(0, total / n);
      });
    },
  };
}
