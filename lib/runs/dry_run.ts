import CliTable from "cli-table3";
import { duration } from "../core/terminal.ts";
import { parameterCount, sizeOf } from "../nn/parameters.ts";
import type { EvaluationRecipe, ResolvedRecipe, RowRecipe, TrainingRecipe } from "../recipes/types.ts";
import { type RowPlan, stagesOf } from "./plan.ts";
import { velocityOf } from "./student.ts";
import { flowOf } from "./teacher.ts";
import type { Splits } from "./workbench.ts";

/** Floating-point operations per second that the estimates count on: two CPU cores, native engine, small shapes. */
const assumedRate = 60e9;

/** Prints every stage, why it must run or why it is skipped, and about how long it takes. */
export function printPlan(recipe: ResolvedRecipe, rows: readonly RowPlan[], splits: Splits): void {
  const table = new CliTable({ head: ["stage", "", "why", "about"], style: { head: [], border: [] } });
  const seconds = estimates(recipe, rows, splits);
  let total = 0;
  for (const { stage, done, reason } of stagesOf(rows)) {
    const estimate = seconds.get(stage.name) ?? 0;
    if (!done) total += estimate;
    table.push([stage.name, done ? "skip" : "run", reason, done ? "–" : duration(estimate)]);
  }
  console.log(table.toString());
  console.log(
    `about ${duration(total)} at ${assumedRate / 1e9} GFLOP/s, which is what two CPU cores reach on small models; ` +
      `the embedded engine takes 5 to 10 times as long`,
  );
}

/** Seconds by stage name, from parameters × tokens × samples. */
function estimates(recipe: ResolvedRecipe, rows: readonly RowPlan[], splits: Splits): Map<string, number> {
  const seconds = new Map<string, number>();
  const put = (name: string, flops: number) => seconds.set(name, flops / assumedRate);
  for (const { row, teacher, coupling, seeds } of rows) {
    const cost = passCosts(row, splits);
    const encode = teacher ? cost.teacher : 0;
    if (teacher?.training) put(teacher.training.stage.name, 3 * cost.teacher * row.teacher.training.samples);
    if (teacher) {
      put(
        teacher.report.stage.name,
        cost.teacher * (splits.train.size + 2 * splits.test.size + 4 * recipe.evaluation.samples),
      );
    }
    // The potential sees each image some hundred times, one product of the image's size each.
    const fit = row.coupling.kind === "semidiscrete"
      ? 200 * splits.train.size ** 2 / splits.train.classes * 2 * sizeOf(splits.train.shape) / 10
      : 0;
    put(coupling.stage.name, fit + encode * splits.train.size);
    for (const { student, evaluations } of seeds) {
      put(student.stage.name, (3 * cost.student + encode) * samplesOf(row.student.training));
      for (const { plan } of evaluations) put(plan.stage.name, cost.student * evaluationPasses(recipe.evaluation));
    }
  }
  return seconds;
}

/** Operations of one forward pass of one sample: two per parameter and token. */
function passCosts(row: RowRecipe, { train }: Splits) {
  const tokens = (patch: number) => sizeOf(train.shape.slice(1)) / patch ** 2;
  return {
    teacher: 2 * parameterCount(flowOf(row.teacher, train).specs) * tokens(row.teacher.model.patch),
    student: 2 * parameterCount(velocityOf(row.student, train).specs) * tokens(row.student.model.patch),
  };
}

const samplesOf = ({ samples }: TrainingRecipe) => samples;

/** Passes through the network in one evaluation: samples × NFE, doubled by guidance, and the probes of the search. */
function evaluationPasses({ samplers, guidance, guidanceSearch, samples }: EvaluationRecipe): number {
  const nfe = samplers.reduce((sum, sampler) => sum + sampler.nfe, 0);
  const perGuidance = guidance.map((kind) =>
    kind === "unguided" ? samples : 2 * samples + 2 * guidanceSearch.samples * (guidanceSearch.iterations + 1)
  );
  return nfe * perGuidance.reduce((sum, passes) => sum + passes, 0);
}
