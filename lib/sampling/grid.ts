import { Problem } from "../core/problem.ts";

/** `linear`: evenly spaced times. `t2`: their squares, the paper's default (§4). */
export type GridKind = "linear" | "t2";

/**
 * The times that a solver visits, `[steps + 1]`, from 1 (noise) down to 0
 * (data): t_i = 1 − i/S, or (1 − i/S)² for `t2` (paper §4 lists the grid up to
 * (1/S)²; the last step goes on to 0).
 *
 * @throws Problem when `steps` is not a positive integer
 *
 * @example Three steps on the squared grid
 * ```ts
 * import { grid } from "./grid.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals([...grid("t2", 2)], [1, 0.25, 0]);
 * assertEquals([...grid("linear", 2)], [1, 0.5, 0]);
 * ```
 */
export function grid(kind: GridKind, steps: number): Float64Array {
  if (!Number.isInteger(steps) || steps < 1) {
    throw new Problem(`Cannot make a time grid of ${steps} steps: expected a positive integer`);
  }
  return Float64Array.from({ length: steps + 1 }, (_, i) => {
    const t = (steps - i) / steps;
    return kind === "t2" ? t * t : t;
  });
}
