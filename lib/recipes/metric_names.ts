/** The measurements a recipe may ask for; lib/metrics has one file each. */
export const metricNames = ["frechet", "curvature", "loss", "priorMismatch"] as const;
