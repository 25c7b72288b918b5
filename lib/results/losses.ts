/**
 * The training loss of each row, `[samples seen, mean loss of the stretch that
 * ends there]`, mean over seeds: `losses.json`.
 */
export type LossCurves = Readonly<Record<string, readonly LossPoint[]>>;
export type LossPoint = readonly [samples: number, loss: number];

/** The text of `losses.json`: one row a line. */
export function printLosses(curves: LossCurves): string {
  const lines = Object.entries(curves).map(([row, points]) => `  ${JSON.stringify(row)}: ${JSON.stringify(points)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}
