import type { MetricInfo } from "./types.ts";

const info = (label: string, digits: number, better: MetricInfo["better"] = "neither"): MetricInfo => ({
  label,
  unit: "",
  better,
  digits,
});

/** What couplings report of themselves (`Coupling.facts`), as figures. */
export const couplingFactsInfo: Readonly<Record<string, MetricInfo>> = {
  chiSquared: info("χ² of the assigned masses", 4, "lower"),
  neverHit: info("share of images never hit", 4, "lower"),
  neverHitByChance: info("share never hit, by chance alone", 4),
  drawsPerPoint: info("draws per image in that check", 1),
  transportCost: info("mean −⟨noise, data − mean⟩", 2),
  labelMismatch: info("share of pairs with unlike labels", 4, "lower"),
  iterations: info("steps of the fit", 0),
  converged: info("reached the χ² asked for", 0),
  sigmaMean: info("σ_f, mean over dimensions", 4),
  sigmaMin: info("σ_f, least", 4),
  sigmaMax: info("σ_f, greatest", 4),
  whiteningShrinkage: info("share of the common covariance in a class's own, at most", 4),
  whiteningMin: info("std of the teacher's noise within a class, least of any axis", 4),
  whiteningMax: info("std of the teacher's noise within a class, greatest of any axis", 4),
  classMeanSize: info("class means of the teacher's noise, root mean square", 4),
};

/** A fact that a new coupling reports without saying how to print it. */
export function factInfo(name: string): MetricInfo {
  return couplingFactsInfo[name] ?? info(name, 4);
}
