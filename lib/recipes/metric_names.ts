/** The measurements a recipe may ask for, by what they need: lib/metrics has one file each. */

/** Of the student at a checkpoint under a solver: they need samples. `samples` are pictures, of the same seeds. */
export const sampledMetrics = ["frechet", "curvature", "priorMismatch", "samples"] as const;
/** Of the teacher alone, whatever student learns from it. `priorMismatch` is of both. */
export const teacherMetrics = ["likelihood", "priorMismatch", "teacherFrechet", "zDistance", "parameters"] as const;

export type TeacherMetric = typeof teacherMetrics[number];

/** All of them: `loss` is of the student's training, `latency` of the untrained models of a row. */
export const metricNames = [...new Set([...sampledMetrics, "loss", ...teacherMetrics, "latency"] as const)];
