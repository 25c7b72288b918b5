import type { z } from "zod";
import type { Dataset } from "./types.ts";

/** A member of the registry of datasets: how its options are read and how a split is loaded. */
export interface DatasetKind<Options> {
  /** Refuses unknown keys; gives the defaults. */
  readonly options: z.ZodType<Options>;
  /** The options that say where the data lie and how they are read, not what they are: no part of what is made from them. */
  readonly places?: readonly string[];
  load(options: Options, split: "train" | "test"): Promise<Dataset>;
  /** Where loading may take long or lack files: what there is of a split, found out without making anything. */
  inspect?(options: Options, split: "train" | "test"): Promise<Inspection>;
}

/** What there is of a split before it is loaded. */
export interface Inspection {
  /** Whether loading is a matter of seconds. */
  readonly ready: boolean;
  /** Size, shape and classes as they are or are expected; its images cannot be gathered. */
  readonly outline: Dataset;
  /** What was found, what is missing and where to put it, a sentence each. */
  readonly remarks: readonly string[];
}
