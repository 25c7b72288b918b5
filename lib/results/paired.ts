import type { Measurement, MetricInfo } from "../metrics/types.ts";
import { aggregate } from "./aggregate.ts";
import { type Figure, figureKey, parseFigureKey } from "./figures.ts";

/** What each seed of a row measured, by `figureKey`. */
export type PerSeed = readonly Readonly<Record<string, Measurement>>[];

/** The name of the difference from `row` as a metric of its own. */
export const differenceName = (metric: string, row: string): string => `${metric} minus ${row}`;

/** How to print it. */
export function differenceInfo(info: MetricInfo, row: string): MetricInfo {
  return { ...info, label: `${info.label} minus that of ${row}, seed by seed` };
}

/**
 * How far each row is ahead of every row before it: the mean over seeds of the
 * difference within a seed, with its standard error. Rows of one seed are
 * measured from the same noise and labels, so that most of a seed's luck
 * cancels; the spread that is left is what a claim has to stand against.
 *
 * @param rows by name, in recipe order; with fewer than two seeds there is no spread and nothing is returned
 */
export function pairedDifferences(rows: Readonly<Record<string, PerSeed>>, metric: string): Record<string, Figure> {
  const names = Object.keys(rows);
  const figures: Record<string, Figure> = {};
  names.forEach((name, i) => {
    for (const other of names.slice(0, i)) {
      for (const text of Object.keys(rows[name]![0] ?? {})) {
        const key = parseFigureKey(text);
        if (key.metric !== metric || rows[name]!.length < 2) continue;
        const theirs = figureKey({ ...key, row: other });
        if (!rows[name]!.every((_, s) => rows[other]![s]?.[theirs])) continue;
        const differences = rows[name]!.map((seed, s) => {
          const { value, sampleCount } = seed[text]!;
          return { value: value - rows[other]![s]![theirs]!.value, sampleCount };
        });
        figures[figureKey({ ...key, metric: differenceName(metric, other) })] = aggregate(differences);
      }
    }
  });
  return figures;
}
