import type { Measurement } from "../metrics/types.ts";
import type { Figure } from "./figures.ts";

/**
 * What several seeds say together: the mean and its standard error over seeds.
 * A single seed keeps the standard error of its sampling, which does not know
 * how much another training would differ.
 */
export function aggregate(seeds: readonly Measurement[]): Figure {
  const [first] = seeds;
  if (!first) throw new TypeError("Cannot aggregate no measurements");
  if (seeds.length === 1) return first;
  const values = seeds.map((seed) => seed.value);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    value: mean,
    standardError: Math.sqrt(squares / (values.length - 1) / values.length),
    sampleCount: first.sampleCount,
    perSeed: values,
  };
}

/** The figures of several seeds as one map, in the order of the first; every seed must have the same keys. */
export function aggregateSeeds(seeds: readonly Readonly<Record<string, Measurement>>[]): Record<string, Figure> {
  const keys = Object.keys(seeds[0] ?? {});
  return Object.fromEntries(keys.map((key) => [
    key,
    aggregate(seeds.map((seed) => {
      const measurement = seed[key];
      if (!measurement) throw new TypeError(`Cannot aggregate "${key}": a seed has not measured it`);
      return measurement;
    })),
  ]));
}
