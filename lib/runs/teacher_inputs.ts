import { Problem } from "../core/problem.ts";
import type { Coupling } from "../couplings/types.ts";
import type { NormalizingFlow } from "../models/types.ts";
import type { EvaluationRecipe } from "../recipes/types.ts";
import type { Workbench } from "./workbench.ts";

/** Images at a time for the teacher: its denoising step keeps every layer's activations (batch 250 takes 3.7 GB). */
export const teacherBatch = 64;

/** What a teacher's figures are measured with. */
export interface TeacherInputs {
  readonly bench: Workbench;
  readonly flow: NormalizingFlow;
  /** η of paper §2.2. */
  readonly noiseStd: number;
  /** What makes its output the student's noise. */
  readonly coupling: Coupling;
  readonly evaluation: EvaluationRecipe;
  /** For the progress bar. */
  readonly label: string;
  readonly signal: AbortSignal;
}

/**
 * σ_f, where the coupling divides by one.
 *
 * @throws {Problem} naming what needs it, where the coupling whitens
 */
export function sigmaOf({ coupling, label }: TeacherInputs, what: string): Float32Array {
  if (coupling.sigma) return coupling.sigma;
  throw new Problem(
    `There are no ${what} of ${label}: they need σ_f, and this row whitens z instead; take the metric off`,
  );
}
