/** The measurements a recipe may ask for, by what they need: lib/metrics has one file each. */

/** Of the student at a checkpoint under a solver: they need samples. */
export const sampledMetrics = ["frechet", "curvature", "priorMismatch"] as const;
/** Of the student's training, at any number of samples seen. */
export const trainingMetrics = ["loss"] as const;
/** Of the teacher alone, whatever student learns from it. `priorMismatch` is of both. */
export const teacherMetrics = ["likelihood", "priorMismatch", "teacherFrechet", "zDistance", "parameters"] as const;
/** Pictures of the same seeds: the teacher's, then the students'. */
export const pictureMetrics = ["samples"] as const;
/** Of the untrained models of a row: how long each takes to draw. */
export const latencyMetrics = ["latency"] as const;

export type SampledMetric = typeof sampledMetrics[number];
export type TeacherMetric = typeof teacherMetrics[number];
export type MetricName =
  | SampledMetric
  | typeof trainingMetrics[number]
  | TeacherMetric
  | typeof pictureMetrics[number]
  | typeof latencyMetrics[number];

export const metricNames: readonly [MetricName, ...MetricName[]] = [
  "frechet",
  "curvature",
  "loss",
  "likelihood",
  "priorMismatch",
  "teacherFrechet",
  "zDistance",
  "parameters",
  "samples",
  "latency",
];
