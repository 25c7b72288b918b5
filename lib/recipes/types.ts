import type * as z from "zod";
import type { EngineChoice } from "../engine/types.ts";
import type { recipeSchema, training } from "./schema.ts";

/** The same structure, all of it read-only. */
type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

/** A recipe at one scale: complete, checked, with every default filled in. */
export type ResolvedRecipe = Frozen<z.output<typeof recipeSchema>>;
export type Scale = ResolvedRecipe["scale"];
export const scales = ["quick", "desk", "paper"] as const satisfies readonly Scale[];

export type DataRecipe = ResolvedRecipe["data"];
export type FeaturesRecipe = ResolvedRecipe["features"];
export type AutoencoderRecipe = NonNullable<ResolvedRecipe["autoencoder"]>;
export type TeacherRecipe = ResolvedRecipe["teacher"];
export type StudentRecipe = ResolvedRecipe["student"];
export type CouplingRecipe = ResolvedRecipe["rows"][string]["coupling"];
export type EvaluationRecipe = ResolvedRecipe["evaluation"];
export type SamplerRecipe = EvaluationRecipe["samplers"][number];
export type GuidanceRecipe = EvaluationRecipe["guidance"][number];
export type TrainingRecipe = Frozen<z.output<typeof training>>;

/** One row of a recipe with its differences merged in: everything a pipeline needs. */
export interface RowRecipe {
  readonly name: string;
  readonly data: DataRecipe;
  /** Absent where models see pixels. */
  readonly autoencoder?: AutoencoderRecipe;
  readonly flips: boolean;
  readonly teacher: TeacherRecipe;
  readonly student: StudentRecipe;
  readonly coupling: CouplingRecipe;
  /** What to measure of it. */
  readonly metrics: EvaluationRecipe["metrics"];
  /** Samples seen at which the student's moving average is kept. */
  readonly checkpoints: readonly number[];
}

/** The stages of a row, in order: what `--force=stage` takes. */
export const stages = ["features", "teacher", "coupling", "student", "evaluation"] as const;
export type Stage = typeof stages[number];

/** How to run, as opposed to what: nothing here changes the meaning of a figure. */
export interface RunOptions {
  readonly engine: EngineChoice;
  /** `pretrained`: the recipe's committed teacher; `train`: train it afresh first. */
  readonly teacher: "pretrained" | "train";
  /** Say what would run and why, then stop. */
  readonly dryRun: boolean;
  /** Redo this stage and those after it although their results are kept; `all` redoes everything. */
  readonly force?: Stage | "all";
  /** At most this many samples per training and measurement: a fast look whose figures mean nothing. */
  readonly limit?: number;
  /** Folder of the results: `results/<experiment>/<scale>`, or a private one when overrides or `limit` changed the recipe. */
  readonly out: string;
  readonly quiet: boolean;
  /** The overrides as typed, for provenance. */
  readonly overrides: readonly string[];
}
