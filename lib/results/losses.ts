import { memberLines } from "./json.ts";

/**
 * The training loss of each row, `[samples seen, mean loss of the stretch that
 * ends there]`, mean over seeds: `losses.json`.
 */
export type LossCurves = Readonly<Record<string, readonly LossPoint[]>>;
export type LossPoint = readonly [samples: number, loss: number];

/** The text of `losses.json`: one row a line. */
export const printLosses = (curves: LossCurves): string => memberLines(curves);
