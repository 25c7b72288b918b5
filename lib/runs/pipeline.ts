import { join } from "node:path";
import { requireWritable, writeFileAtomic } from "../core/files.ts";
import { beQuiet, say } from "../core/terminal.ts";
import type { Coupling } from "../couplings/types.ts";
import { locate } from "../engine/locate.ts";
import type { NormalizingFlow } from "../models/types.ts";
import type { ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { readPaper } from "../results/paper.ts";
import { commitHere } from "../results/provenance.ts";
import { readsImages } from "./asks.ts";
import type { HeldOut } from "./cell.ts";
import { openCoupling } from "./coupling.ts";
import { printPlan } from "./dry_run.ts";
import { heldOutNoise } from "./held_out.ts";
import { interruptSignal } from "./interrupt.ts";
import { timeRow } from "./latency.ts";
import { limitRecipe } from "./limit.ts";
import { makePictures } from "./pictures.ts";
import { openOnce } from "./open_once.ts";
import { planRows, type RowPlan, stagesOf } from "./plan.ts";
import { reportRun } from "./report.ts";
import { type Run, stageRunner } from "./run.ts";
import { writeStageFigures } from "./stage_figures.ts";
import { runStudent } from "./student_stages.ts";
import { loadTeacher, pretrainedWeights, teacherWeights } from "./teacher.ts";
import { measureTeacher } from "./teacher_figures.ts";
import type { TeacherInputs } from "./teacher_inputs.ts";
import { trainTeacher } from "./teacher_training.ts";
import { openSplits, openWorkbench, outlineSplits } from "./workbench.ts";

/**
 * The architecture in one screen: recipe → data → teacher → coupling → student
 * → sampler → metric → result. Every stage is kept under the hash of what made
 * it, so that a second run skips it and an interrupted one goes on.
 */
export async function runExperiment(given: ResolvedRecipe, options: RunOptions): Promise<void> {
  if (options.quiet) beQuiet();
  const recipe = limitRecipe(given, options.limit, options.teacher);
  const paper = await readPaper(recipe.experiment);
  if (options.dryRun) {
    const outline = await outlineSplits(recipe, options.limit);
    const engine = options.engine === "auto" ? (await locate() ? "native" : "wasm") : options.engine;
    const settled = { ...options, engine };
    return await printPlan(recipe, settled, await planRows(recipe, settled, outline.splits), outline);
  }
  await requireWritable(options.out);
  const commit = await commitHere();
  const splits = readsImages(recipe)
    ? await openSplits(recipe, options.limit)
    : (await outlineSplits(recipe, options.limit)).splits;
  const bench = await openWorkbench(recipe, options, splits);
  const rows = await planRows(recipe, { ...options, engine: bench.engine.kind }, splits);
  const seconds: Record<string, number> = {};
  const run: Run = { bench, recipe, signal: interruptSignal(), stage: stageRunner(options, seconds, bench.engine) };
  for (const row of rows) await runRow(run, row);
  if (stagesOf(rows).every(({ done }) => done)) say("every stage is unchanged, skipping to the report", options);
  await reportRun(recipe, options, bench, rows, { seconds, commit, paper });
}

async function runRow(run: Run, plan: RowPlan): Promise<void> {
  const weights = plan.teacher && await obtainTeacher(run, plan);
  // Opened once, when a stage needs it, and closed with the row: a potential takes room, a teacher time and room.
  await using teacher = openOnce(async () =>
    weights ? await loadTeacher(plan.row.teacher, run.bench.train, weights) : undefined
  );
  await using coupling = openOnce(async () => await openCoupling(run, plan, (await teacher.open())?.flow));
  await run.stage(plan.coupling, async (folder) => {
    await writeFileAtomic(join(folder, "facts.json"), JSON.stringify((await coupling.open()).facts, null, 1));
  });
  const inputs = async () => teacherInputs(run, plan, (await teacher.open())!.flow, await coupling.open());
  for (const figures of plan.teacher?.figures ?? []) {
    await run.stage(figures.plan, async (folder) => {
      await writeStageFigures(folder, await measureTeacher(await inputs(), figures));
    });
  }
  let heldOut: Promise<HeldOut> | undefined;
  for (const student of plan.students) {
    await runStudent(run, plan, student, coupling.open, () => heldOut ??= inputs().then(heldOutNoise));
  }
  for (const { guidance, plan: stage } of plan.pictures) {
    await run.stage(stage, async (folder) => {
      await makePictures(run, plan, guidance, folder, plan.teacher && await inputs());
    });
  }
  if (plan.latency) await run.stage(plan.latency, (folder) => timeRow(run, plan, folder));
}

function teacherInputs(
  { bench, recipe, signal }: Run,
  { row }: RowPlan,
  flow: NormalizingFlow,
  coupling: Coupling,
): TeacherInputs {
  const { noiseStd } = row.teacher;
  const label = `${row.name} teacher`;
  return { bench, flow, noiseStd, coupling, evaluation: recipe.evaluation, label, signal };
}

/** Where the weights of a row's teacher lie, which is trained first where the recipe says so. */
async function obtainTeacher({ bench, stage, signal }: Run, { row, teacher }: RowPlan): Promise<string> {
  const training = teacher?.training;
  if (!training) return pretrainedWeights(row.teacher);
  await stage(training, (folder) =>
    trainTeacher(row.teacher, bench.train, {
      seed: 0,
      flips: row.flips,
      folder,
      identity: { stage: training.id },
      signal,
    }));
  return teacherWeights(row.teacher, training.folder);
}
