/** How the learning rate goes over a run. Counted in optimizer steps; a pure function of the step. */
export interface ScheduleOptions {
  readonly kind: "constant" | "cosine";
  /** The highest rate. */
  readonly learningRate: number;
  /** Steps of linear warm-up from `floor`; the first step already has 1/warmupSteps of the way behind it. */
  readonly warmupSteps: number;
  /** The rate that the warm-up comes from and the cosine goes to. */
  readonly floor: number;
  /** Length of the run, at whose end the cosine reaches `floor`. */
  readonly steps: number;
}

/** The learning rate of step 0, 1, 2 … */
export type Schedule = (step: number) => number;

/**
 * Makes a schedule. TarFlow trains on `cosine`, SiT on `constant`.
 *
 * @example
 * ```ts
 * import { createSchedule } from "./schedule.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const rate = createSchedule({ kind: "cosine", learningRate: 1, warmupSteps: 4, floor: 0, steps: 12 });
 * assertEquals([rate(0), rate(3), rate(12)], [0.25, 1, 0]);
 * assertAlmostEquals(rate(8), 0.5);
 * ```
 */
export function createSchedule({ kind, learningRate, warmupSteps, floor, steps }: ScheduleOptions): Schedule {
  if (!(learningRate > 0 && floor >= 0 && floor <= learningRate && warmupSteps >= 0 && warmupSteps <= steps)) {
    throw new RangeError(
      `Cannot schedule learningRate ${learningRate}, floor ${floor}, warmupSteps ${warmupSteps} over ${steps} steps: ` +
        `expected 0 <= floor <= learningRate and 0 <= warmupSteps <= steps`,
    );
  }
  return (step) => {
    if (step < warmupSteps) return floor + (learningRate - floor) * (step + 1) / warmupSteps;
    if (kind === "constant") return learningRate;
    if (step >= steps) return floor;
    const progress = (step - warmupSteps) / (steps - warmupSteps);
    return floor + (learningRate - floor) * 0.5 * (1 + Math.cos(Math.PI * progress));
  };
}
