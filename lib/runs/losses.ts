import type { LossCurves, LossPoint } from "../results/losses.ts";
import { lossCurve } from "../training/loss_curve.ts";
import { readLossLog } from "../training/loss_log.ts";
import type { RowPlan } from "./plan.ts";
import { lossLog } from "./train.ts";

/** The curves of the rows that ask for their loss, in recipe order, to four digits. */
export async function gatherLosses(rows: readonly RowPlan[]): Promise<LossCurves> {
  const asking = rows.filter(({ row, students }) => row.metrics.includes("loss") && students.length > 0);
  const curves = await Promise.all(asking.map(async ({ row, students }) => {
    const { batch } = row.student.training;
    const perSeed = await Promise.all(students.map(({ plan }) => readLossLog(lossLog(plan.folder))));
    const each = perSeed.map((records) => lossCurve(records));
    const points = each[0]!.map(({ step }, i): LossPoint => {
      const mean = each.reduce((sum, curve) => sum + curve[i]!.loss / each.length, 0);
      return [step * batch, Number(mean.toPrecision(4))];
    });
    return [row.name, points] as const;
  }));
  return Object.fromEntries(curves);
}
