import { Problem } from "../core/problem.ts";
import type { StudentRecipe } from "../recipes/types.ts";
import type { LossCurves, LossPoint } from "../results/losses.ts";
import { lossCurve } from "../training/loss_curve.ts";
import { type LossRecord, meanLoss, readLossLog } from "../training/loss_log.ts";
import { lossLog } from "../training/loop.ts";
import { stepsFor } from "../training/steps.ts";
import type { RowPlan } from "./plan.ts";

/**
 * The mean training loss over the last tenth of the steps up to a checkpoint.
 *
 * @param folder of the student's stage, which is done
 * @throws {Problem} exit code 74 when the log does not reach the checkpoint or is damaged
 */
export async function trainingLoss(recipe: StudentRecipe, folder: string, checkpoint: number): Promise<number> {
  return meanLoss(await logUpTo(recipe, folder, checkpoint));
}

/**
 * The curves of the rows that ask for their loss, in recipe order, to four digits.
 *
 * @throws {Problem} exit code 74 when a log does not reach the end of the training or is damaged
 */
export async function gatherLosses(rows: readonly RowPlan[]): Promise<LossCurves> {
  const asking = rows.filter(({ row, students }) => row.metrics.includes("loss") && students.length > 0);
  const curves = await Promise.all(asking.map(async ({ row: { name, student }, students }) => {
    const { batch, samples } = student.training;
    const perSeed = await Promise.all(students.map(({ plan }) => logUpTo(student, plan.folder, samples)));
    const each = perSeed.map((records) => lossCurve(records));
    const points = each[0]!.map(({ step }, i): LossPoint => {
      const mean = each.reduce((sum, curve) => sum + curve[i]!.loss / each.length, 0);
      return [step * batch, Number(mean.toPrecision(4))];
    });
    return [name, points] as const;
  }));
  return Object.fromEntries(curves);
}

/** A student's log, a record a step, until it had seen `samples`: the mean of a part would pass for that of all. */
async function logUpTo({ training }: StudentRecipe, folder: string, samples: number): Promise<LossRecord[]> {
  const path = lossLog(folder), records = await readLossLog(path), steps = stepsFor(samples, training.batch);
  if (records.length >= steps) return records.slice(0, steps);
  throw new Problem(
    `Cannot use the log ${path}: it ends after step ${records.length}, expected ${steps}; ` +
      "--force=student makes it again",
    { exitCode: 74 },
  );
}
