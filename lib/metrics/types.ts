/** A number with its spread and how many samples made it. */
export interface Measurement {
  readonly value: number;
  readonly standardError?: number;
  readonly sampleCount: number;
}

/** What a figure is: how to print it and which way is better. */
export interface MetricInfo {
  /** Printed name, for example `FD`. */
  readonly label: string;
  readonly unit: "" | "nats/dim" | "bits/dim" | "s";
  readonly better: "lower" | "higher" | "neither";
  /** Digits after the point, at most; never finer than the standard error. */
  readonly digits: number;
}
