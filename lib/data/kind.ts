import type { z } from "zod";
import type { Dataset } from "./types.ts";

/** A member of the registry of datasets: how its options are read and how a split is loaded. */
export interface DatasetKind<Options> {
  /** Refuses unknown keys; gives the defaults. */
  readonly options: z.ZodType<Options>;
  load(options: Options, split: "train" | "test"): Promise<Dataset>;
}
