import { quartiles } from "./timing.ts";
import type { Measurement, MetricInfo } from "./types.ts";

/** Batch sizes that latency has figures for: powers of two. */
export const latencyBatches = [1, 2, 4, 8, 16, 32, 64, 128, 256] as const;

/** What is said of each batch size: the time a sample takes, that of decoding alone, and how often faster. */
export type LatencyFigure = "seconds" | "decodeSeconds" | "speedup";

/** The key of a figure at a batch size: `secondsBatch64`. */
export function latencyName(figure: LatencyFigure, batch: number): string {
  return `${figure}Batch${batch}`;
}

const latencyInfos: Readonly<Record<LatencyFigure, (batch: number) => MetricInfo>> = {
  seconds: (batch) => ({ label: `latency a sample, batch ${batch}`, unit: "s", better: "lower", digits: 6 }),
  decodeSeconds: (batch) => ({
    label: `the same without denoising, batch ${batch}`,
    unit: "s",
    better: "lower",
    digits: 6,
  }),
  speedup: (batch) => ({ label: `speed-up over the teacher, batch ${batch}`, unit: "", better: "higher", digits: 2 }),
};

/** The columns of paper Table 8 at every batch size, and the length of the sequence that they depend on. */
export const latencyInfo: Readonly<Record<string, MetricInfo>> = {
  tokens: { label: "tokens of an image", unit: "", better: "neither", digits: 0 },
  ...Object.fromEntries(
    latencyBatches.flatMap((batch) =>
      Object.entries(latencyInfos).map(([figure, info]) => [latencyName(figure as LatencyFigure, batch), info(batch)])
    ),
  ),
};

/** Whether a metric is one of these. */
export function isLatency(metric: string): boolean {
  return Object.hasOwn(latencyInfo, metric);
}

/** What is timed against each other, by name; each ends when its result has been read. */
export type Contenders = Readonly<Record<string, () => Promise<void>>>;

export interface InterleaveOptions {
  readonly repeats: number;
  /** Milliseconds since some start. */
  readonly clock?: () => number;
  /** Called after every run, the first, untimed ones included. An error thrown here stops the timing. */
  readonly onRun?: (done: number, count: number) => void;
}

/**
 * Times A B C A B C, `repeats` times, after one round that is not timed
 * (recording, allocation). What slows the machine for a while so slows all
 * contenders of a round, and their ratios within the round stand.
 *
 * @returns seconds of each contender, `[repeats]`: entry i of all of them is one round
 */
export async function interleave(
  contenders: Contenders,
  { repeats, clock = () => performance.now(), onRun }: InterleaveOptions,
): Promise<Record<string, Float64Array>> {
  const entries = Object.entries(contenders);
  const seconds = Object.fromEntries(entries.map(([name]) => [name, new Float64Array(repeats)]));
  const count = entries.length * (repeats + 1);
  let done = 0;
  for (let round = -1; round < repeats; round++) {
    for (const [name, run] of entries) {
      const start = clock();
      await run();
      if (round >= 0) seconds[name]![round] = (clock() - start) / 1000;
      onRun?.(++done, count);
    }
  }
  return seconds;
}

/**
 * The median with a standard error that stray values do not move: σ√(π/2n) of
 * normal samples, σ taken as 1.4826 times the median absolute deviation.
 */
export function medianMeasurement(values: Float64Array): Measurement {
  const value = median(values), sampleCount = values.length;
  if (sampleCount < 2) return { value, sampleCount };
  const deviation = 1.4826 * median(values.map((x) => Math.abs(x - value)));
  return { value, standardError: deviation * Math.sqrt(Math.PI / 2 / sampleCount), sampleCount };
}

/** How often longer one takes than the other, round by round; both are `[repeats]` of one `interleave`. */
export function speedupMeasurement(slow: Float64Array, fast: Float64Array): Measurement {
  return medianMeasurement(slow.map((seconds, round) => seconds / fast[round]!));
}

const median = (values: Float64Array): number => quartiles(values).median;
