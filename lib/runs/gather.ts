import { parameterCount } from "../nn/parameters.ts";
import type { Measurement } from "../metrics/types.ts";
import type { EvaluationRecipe, GuidanceRecipe, ResolvedRecipe, RowRecipe } from "../recipes/types.ts";
import { aggregateSeeds } from "../results/aggregate.ts";
import { type Figure, type FigureKey, figureKey, samplerName } from "../results/figures.ts";
import { pairedDifferences } from "../results/paired.ts";
import { trainingLoss } from "./losses.ts";
import type { RowPlan, StudentPlan, TeacherPlan } from "./plan.ts";
import { flowOf, velocityOf } from "./recipe_models.ts";
import type { StageFigures } from "./stage_figures.ts";
import { readStage } from "./stages.ts";
import type { Splits } from "./workbench.ts";

/** What the stages of some rows measured, by `figureKey`, in recipe order: rows, checkpoints, solvers, guidance. */
export async function gatherFigures(
  recipe: ResolvedRecipe,
  rows: readonly RowPlan[],
  splits: Splits,
): Promise<Record<string, Figure>> {
  const figures: Record<string, Figure> = {};
  const bySeed: Record<string, Record<string, Measurement>[]> = {};
  for (const plan of rows) {
    const { row, teacher, coupling, students, pictures, latency } = plan;
    const perSeed = bySeed[row.name] = await Promise.all(students.map((one) => studentFigures(recipe, plan, one)));
    Object.assign(figures, aggregateSeeds(perSeed));
    for (const { guidance, plan } of pictures) {
      const measured = (await readStage<StageFigures>(plan, "figures.json")).figures;
      for (const [sampler, figure] of Object.entries(measured)) {
        const checkpoint = recipe.evaluation.checkpoints.at(-1)!;
        const key = { row: row.name, checkpoint, sampler, guidance: guidanceName(guidance), metric: "pairDistance" };
        figures[figureKey(key)] = figure;
      }
    }
    if (students.length > 0) {
      for (const [name, value] of Object.entries(await readStage<Record<string, number>>(coupling, "facts.json"))) {
        figures[figureKey({ row: row.name, metric: name })] = { value, sampleCount: splits.train.size };
      }
    }
    if (teacher) Object.assign(figures, await teacherFigures(teacher, `${row.name} teacher`));
    if (latency) {
      Object.assign(figures, (await readStage<StageFigures>(latency, "figures.json")).figures);
      Object.assign(figures, tokenFigures(row, splits));
    }
    if (row.metrics.includes("parameters")) Object.assign(figures, sizes(plan, splits));
  }
  return Object.assign(figures, pairedDifferences(bySeed, "frechet"));
}

/** How a recipe's word for guidance stands in a figure's name. */
export function guidanceName(kind: GuidanceRecipe): NonNullable<FigureKey["guidance"]> {
  return kind === "unguided" ? "unguided" : "guided";
}

/** What was measured of one seed's student, as far as the row asks for it. */
async function studentFigures(
  { evaluation }: ResolvedRecipe,
  { row }: RowPlan,
  { plan, cells }: StudentPlan,
): Promise<Record<string, Measurement>> {
  const figures: Record<string, Measurement> = {};
  for (const checkpoint of evaluation.checkpoints) {
    for (const cell of cells) {
      if (cell.checkpoint !== checkpoint) continue;
      const guidance = cell.guidance === "search" ? "guided" : "unguided";
      const measured = (await readStage<StageFigures>(cell.plan, "figures.json")).figures;
      for (const [metric, figure] of Object.entries(measured)) {
        if (!isAsked(metric, row.metrics)) continue;
        figures[figureKey({ row: row.name, checkpoint, sampler: samplerName(cell.sampler), guidance, metric })] =
          figure;
      }
    }
    if (row.metrics.includes("loss")) {
      const value = await trainingLoss(row.student, plan.folder, checkpoint);
      figures[figureKey({ row: row.name, checkpoint, metric: "loss" })] = {
        value,
        sampleCount: Math.ceil(checkpoint / 10),
      };
    }
  }
  return figures;
}

/** A cell measures what costs nothing more; a row shows what it asks for. */
function isAsked(metric: string, asked: EvaluationRecipe["metrics"]): boolean {
  const of = metric === "guidanceWeight" ? "frechet" : metric === "frechetHeldOut" ? "priorMismatch" : metric;
  return (asked as readonly string[]).includes(of);
}

async function teacherFigures({ figures: stages }: TeacherPlan, row: string): Promise<Record<string, Measurement>> {
  const figures: Record<string, Measurement> = {};
  for (const { guidance: kind, plan } of stages) {
    const measured = (await readStage<StageFigures>(plan, "figures.json")).figures;
    for (const [metric, figure] of Object.entries(measured)) {
      figures[figureKey({ row, ...(kind && { guidance: guidanceName(kind) }), metric })] = figure;
    }
  }
  return figures;
}

function sizes({ row, teacher, students }: RowPlan, { train }: Splits): Record<string, Measurement> {
  const of = (name: string, value: number) => ({
    [figureKey({ row: name, metric: "parameters" })]: { value, sampleCount: 1 },
  });
  return {
    ...(students.length > 0 && of(row.name, parameterCount(velocityOf(row.student, train).specs))),
    ...(teacher && of(`${row.name} teacher`, parameterCount(flowOf(row.teacher, train).specs))),
  };
}

/** Tokens of an image in a row's teacher and student, by `figureKey`: what the teacher's latency grows with. */
function tokenFigures(
  { name, teacher, student }: RowRecipe,
  { train: { shape } }: Splits,
): Record<string, Measurement> {
  const tokens = (patch: number) => ({ value: (shape[1] / patch) * (shape[2] / patch), sampleCount: 1 });
  return {
    [figureKey({ row: `${name} teacher`, metric: "tokens" })]: tokens(teacher.model.patch),
    [figureKey({ row: name, metric: "tokens" })]: tokens(student.model.patch),
  };
}
