import { type LossRecord, meanLoss } from "./loss_log.ts";

/**
 * The course of the loss: means over at most `points` stretches, as equal as
 * whole steps allow, each with the step that it ends at.
 */
export function lossCurve(records: readonly LossRecord[], points = 64): { step: number; loss: number }[] {
  const count = Math.min(points, records.length), end = (i: number) => Math.floor(i * records.length / count);
  return Array.from({ length: count }, (_, i) => {
    const stretch = records.slice(end(i), end(i + 1));
    return { step: stretch.at(-1)!.step, loss: meanLoss(stretch, 1) };
  });
}
