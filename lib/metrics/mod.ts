import { couplingFactsInfo } from "./coupling_facts.ts";
import { curvatureInfo } from "./curvature.ts";
import { frechetInfo } from "./frechet.ts";
import { latencyInfo } from "./latency.ts";
import { bitsPerDimInfo, nllInfo } from "./likelihood.ts";
import { priorMismatchInfo } from "./prior_mismatch.ts";
import type { MetricInfo } from "./types.ts";
import { zDistanceInfo } from "./z_distance.ts";

/** Every figure by its key in the results: how to print it and which way is better. A new one is a file and a line. */
export const figures: Readonly<Record<string, MetricInfo>> = {
  frechet: frechetInfo,
  /** Of a student fed the teacher's z of held-out images in the place of N(0, I). */
  frechetHeldOut: { ...frechetInfo, label: "FD from held-out z" },
  guidanceWeight: { label: "guidance weight w", unit: "", better: "neither", digits: 2 },
  /** Of a teacher's own samples, where any was. */
  redraws: { label: "batches drawn again, as samples were not finite", unit: "", better: "neither", digits: 0 },
  pairDistance: {
    label: "distance to the teacher's image of the same seed, 1 if unrelated",
    unit: "",
    better: "neither",
    digits: 3,
  },
  parameters: { label: "parameters", unit: "", better: "neither", digits: 0 },
  loss: { label: "training loss", unit: "", better: "lower", digits: 4 },
  curvature: curvatureInfo,
  nll: { ...nllInfo, label: "NLL, training set" },
  nllTest: { ...nllInfo, label: "NLL, held-out set" },
  bitsPerDim: bitsPerDimInfo,
  ...priorMismatchInfo,
  ...zDistanceInfo,
  ...couplingFactsInfo,
  ...latencyInfo,
};
