import type * as z from "zod";
import type { Tensor } from "../engine/mod.ts";
import type { Rng } from "../core/rng.ts";
import type { Dataset } from "../data/types.ts";
import type { NormalizingFlow } from "../models/types.ts";

/** Jointly drawn endpoints, aligned row by row. The caller disposes the tensors. */
export interface Pairs {
  /** `[batch, channels, height, width]`: the endpoint at t = 1. */
  readonly noise: Tensor;
  /** `[batch, channels, height, width]`: the clean data at t = 0, whatever noise a teacher saw. */
  readonly data: Tensor;
  /** `[batch]` int32: the datum's own label. */
  readonly labels: Tensor;
  /** `[batch]`: which rows of the dataset these are. */
  readonly index: Int32Array;
}

/** A joint law of noise and data, with N(0, I) and the dataset as marginals (a learned flow: approximately). */
export interface Coupling {
  /**
   * Draws `size` pairs; the same key gives the same pairs.
   *
   * @param dropped `[size]`: 1 where the student will not see the label, for a coupling that minds; the labels
   *   returned are the data's own all the same
   */
  sample(size: number, rng: Rng, dropped?: Uint8Array): Promise<Pairs>;
  /**
   * One batch of `size` pairs for each key, where drawing them together costs less: what `sample` draws under each,
   * but for what rounding decides. The same keys in the same order give the same batches.
   */
  sampleEach?(size: number, rngs: readonly Rng[]): Promise<Pairs[]>;
  /** Facts worth reporting with a result: χ², share never hit, σ_f … */
  readonly facts: Readonly<Record<string, number>>;
  /**
   * Of a coupling that takes its noise from a teacher: the noise that its output `encoded` stands for, f/σ_f in
   * paper §3.2. All are `[batch, channels, height, width]`, labels `[batch]` int32; the caller disposes the result.
   */
  toNoise?(encoded: Tensor, labels: Tensor): Tensor;
  /** σ_f, `[channels, height, width]`, where `toNoise` is a division by it. */
  readonly sigma?: Float32Array;
  dispose(): void;
}

/** A teacher as a coupling needs it: frozen, with the noise it was trained under. */
export interface Teacher {
  readonly flow: NormalizingFlow;
  /** η of paper §2.2: std of the noise added to the data in training. */
  readonly noiseStd: number;
}

/** What a coupling may be built from. */
export interface CouplingInputs {
  readonly dataset: Dataset;
  readonly teacher?: Teacher;
  readonly rng: Rng;
  /** Mirror half of the draws left to right, in every coupling alike. */
  readonly flips: boolean;
  /** Called as a long fit goes on: fraction done in [0, 1] and a word on its state. */
  readonly onProgress?: (fraction: number, note: string) => void;
  /** Where a fitted part may be kept between runs, already keyed by recipe and data. */
  readonly cacheDir?: string;
}

/** A member of the registry of couplings: how its options are read and how it is made ready to draw from. */
export interface CouplingKind<Options extends z.ZodObject = z.ZodObject> {
  /** Refuses unknown keys; gives the defaults. */
  readonly options: Options;
  /** Its pairs come from the recipe's teacher: another teacher is another coupling. */
  readonly usesTeacher?: boolean;
  build(inputs: CouplingInputs, options: z.output<Options>): Promise<Coupling>;
}
