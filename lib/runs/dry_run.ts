import CliTable from "cli-table3";
import { duration } from "../core/terminal.ts";
import { parameterCount, sizeOf } from "../nn/parameters.ts";
import type { ResolvedRecipe, RowRecipe } from "../recipes/types.ts";
import { type RowPlan, stagesOf } from "./plan.ts";
import type { StagePlan } from "./stages.ts";
import { velocityOf } from "./student.ts";
import { flowOf } from "./teacher.ts";
import type { Splits } from "./workbench.ts";

/** Floating-point operations per second that the estimates count on: two CPU cores, native engine, small shapes. */
const assumedRate = 60e9;

/** Prints every stage, why it must run or why it is skipped, and about how long it takes; cells of one student in a line. */
export function printPlan(recipe: ResolvedRecipe, rows: readonly RowPlan[], splits: Splits): void {
  const table = new CliTable({ head: ["stage", "", "why", "about"], style: { head: [], border: [] } });
  const flops = estimates(recipe, rows, splits);
  let total = 0;
  for (const [name, stages] of groups(stagesOf(rows))) {
    const open = stages.filter(({ done }) => !done);
    const seconds = open.reduce((sum, { folder }) => sum + (flops.get(folder) ?? 0) / assumedRate, 0);
    total += seconds;
    const many = stages.length > 1 ? ` (${open.length} of ${stages.length})` : "";
    const reasons = [...new Set((open.length > 0 ? open : stages).map(({ reason }) => reason))].join("; ");
    table.push([name + many, open.length > 0 ? "run" : "skip", reasons, open.length > 0 ? duration(seconds) : "–"]);
  }
  console.log(table.toString());
  console.log(
    `about ${duration(total)} at ${assumedRate / 1e9} GFLOP/s, which is what two CPU cores reach on small models; ` +
      `the embedded engine takes 5 to 10 times as long`,
  );
}

function groups(plans: readonly StagePlan[]): Map<string, StagePlan[]> {
  const found = new Map<string, StagePlan[]>();
  for (const plan of plans) {
    const name = plan.stage.group ?? plan.stage.name;
    found.set(name, [...found.get(name) ?? [], plan]);
  }
  return found;
}

/** Floating-point operations by stage folder, from parameters × tokens × samples. */
function estimates(recipe: ResolvedRecipe, rows: readonly RowPlan[], splits: Splits): Map<string, number> {
  const flops = new Map<string, number>();
  const { samples, images, guidanceSearch, pictures } = recipe.evaluation;
  const searched = 2 * guidanceSearch.samples * (guidanceSearch.iterations + 1);
  for (const { row, teacher, coupling, students, pictures: drawn, latency } of rows) {
    const cost = passCosts(row, splits);
    const encode = teacher ? cost.teacher : 0;
    if (teacher?.training) flops.set(teacher.training.folder, 3 * cost.teacher * row.teacher.training.samples);
    for (const { metric, guidance, plan } of teacher?.figures ?? []) {
      // Denoising takes a gradient; decoding with its cache does the work of a pass.
      const passes = metric === "teacherFrechet"
        ? 4 * samples + (guidance === "search" ? 4 * searched : 0)
        : 4 * images;
      flops.set(plan.folder, cost.teacher * passes);
    }
    // The potential sees each image some hundred times, one product of the image's size each.
    const fit = row.coupling.kind === "semidiscrete"
      ? 200 * splits.train.size ** 2 / splits.train.classes * 2 * sizeOf(splits.train.shape) / 10
      : 0;
    flops.set(coupling.folder, fit + encode * splits.train.size);
    for (const { plan, cells } of students) {
      flops.set(plan.folder, (3 * cost.student + encode) * row.student.training.samples);
      for (const { guidance, sampler: { nfe }, plan: cell } of cells) {
        const count = guidance === "heldOut" ? images : guidance === "search" ? 2 * samples + searched : samples;
        flops.set(cell.folder, cost.student * nfe * count);
      }
    }
    for (const { plan } of drawn) flops.set(plan.folder, 4 * encode * pictures * splits.train.classes);
    if (latency) flops.set(latency.folder, latencyCost(recipe, row, splits));
  }
  return flops;
}

/** Seconds that a layer takes at least, however little it computes: what decoding token by token mostly consists of. */
const layerTime = 3e-4;

/** Timing decodes twice and denoises once a round, then runs every solver. */
function latencyCost({ evaluation }: ResolvedRecipe, row: RowRecipe, splits: Splits): number {
  const { samplers, guidance, latency } = evaluation;
  const { patch, blocks } = row.teacher.model;
  const cost = passCosts(row, splits);
  const tokens = sizeOf(splits.train.shape.slice(1)) / patch ** 2;
  const layers = blocks.reduce((sum, layers) => sum + layers, 0);
  const nfe = samplers.reduce((sum, sampler) => sum + sampler.nfe, 0);
  const dispatched = (2 * layers * tokens + nfe * row.student.model.depth) * layerTime * assumedRate;
  let total = 0;
  for (const kind of guidance) {
    for (const batch of latency!.batches) {
      const samples = kind === "unguided" ? batch : 2 * batch;
      total += (latency!.repeats + 1) * (dispatched + samples * (5 * cost.teacher + nfe * cost.student));
    }
  }
  return total;
}

/** Operations of one forward pass of one sample: two per parameter and token. */
function passCosts(row: RowRecipe, { train }: Splits) {
  const tokens = (patch: number) => sizeOf(train.shape.slice(1)) / patch ** 2;
  return {
    teacher: 2 * parameterCount(flowOf(row.teacher, train).specs) * tokens(row.teacher.model.patch),
    student: 2 * parameterCount(velocityOf(row.student, train).specs) * tokens(row.student.model.patch),
  };
}
