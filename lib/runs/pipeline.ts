import { join } from "node:path";
import { writeFileAtomic } from "../core/files.ts";
import { createRng } from "../core/rng.ts";
import { beQuiet, duration, progress, say } from "../core/terminal.ts";
import * as couplings from "../couplings/mod.ts";
import type { Coupling, CouplingKind } from "../couplings/types.ts";
import { locate } from "../engine/locate.ts";
import type { NormalizingFlow } from "../models/types.ts";
import type { GuidanceRecipe, ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { samplerName } from "../results/figures.ts";
import { evaluateCell, type HeldOut, type StageFigures, writeStageFigures } from "./cell.ts";
import { printPlan } from "./dry_run.ts";
import { interruptSignal } from "./interrupt.ts";
import { freshModels, measureLatency } from "./latency.ts";
import { limitRecipe } from "./limit.ts";
import { drawPictures } from "./pictures.ts";
import { type CellPlan, planRows, type RowPlan, stagesOf, type StudentPlan } from "./plan.ts";
import { reportRun } from "./report.ts";
import { readStage, runStage, type StagePlan } from "./stages.ts";
import { loadStudent, trainStudent } from "./student.ts";
import { loadTeacher, pretrainedWeights, teacherWeights, trainTeacher } from "./teacher.ts";
import { heldOutNoise, measureTeacher, type TeacherInputs } from "./teacher_figures.ts";
import { openSplits, openWorkbench, type Workbench } from "./workbench.ts";

/** What one run has open. */
interface Run {
  readonly bench: Workbench;
  readonly recipe: ResolvedRecipe;
  readonly options: RunOptions;
  readonly signal: AbortSignal;
  /** Runs a stage unless its result is kept, and notes what it cost. */
  readonly stage: (plan: StagePlan, make: (folder: string) => Promise<void>) => Promise<void>;
}

/**
 * The architecture in one screen: recipe → data → teacher → coupling → student
 * → sampler → metric → result. Every stage is kept under the hash of what made
 * it, so that a second run skips it and an interrupted one goes on.
 */
export async function runExperiment(given: ResolvedRecipe, options: RunOptions): Promise<void> {
  if (options.quiet) beQuiet();
  const recipe = limitRecipe(given, options.limit, options.teacher);
  const splits = await openSplits(recipe, options.limit);
  if (options.dryRun) {
    const engine = options.engine === "auto" ? (await locate() ? "native" : "wasm") : options.engine;
    return printPlan(recipe, await planRows(recipe, { ...options, engine }, splits), splits);
  }
  const bench = await openWorkbench(recipe, options, splits);
  const rows = await planRows(recipe, { ...options, engine: bench.engine.kind }, splits);
  const seconds: Record<string, number> = {};
  const run: Run = { bench, recipe, options, signal: interruptSignal(), stage: stageRunner(options, seconds) };
  for (const row of rows) await runRow(run, row);
  if (stagesOf(rows).every(({ done }) => done)) say("every stage is unchanged, skipping to the report", options);
  await reportRun(recipe, options, bench, rows, seconds);
}

async function runRow(run: Run, plan: RowPlan): Promise<void> {
  const teacher = plan.teacher && await obtainTeacher(run, plan);
  // Opened once, and only when a stage needs it: a potential takes room, a teacher takes time.
  let open: Promise<Coupling> | undefined;
  const coupling = () => open ??= openCoupling(run, plan, teacher);
  await run.stage(plan.coupling, async (folder) => {
    await writeFileAtomic(join(folder, "facts.json"), JSON.stringify((await coupling()).facts, null, 1));
  });
  const inputs = async () => teacherInputs(run, plan, teacher!, await coupling());
  for (const figures of plan.teacher?.figures ?? []) {
    await run.stage(figures.plan, async (folder) => {
      await writeStageFigures(folder, await measureTeacher(await inputs(), figures));
    });
  }
  let heldOut: Promise<HeldOut> | undefined;
  for (const student of plan.students) {
    await runStudent(run, plan, student, coupling, () => heldOut ??= inputs().then(heldOutNoise));
  }
  for (const { guidance, plan: stage } of plan.pictures) {
    await run.stage(stage, async (folder) => {
      await makePictures(run, plan, guidance, folder, teacher && await inputs());
    });
  }
  if (plan.latency) await run.stage(plan.latency, (folder) => timeRow(run, plan, folder));
  if (open) (await open).dispose();
}

async function timeRow({ bench, recipe, signal }: Run, { row }: RowPlan, folder: string): Promise<void> {
  const { samplers, guidance, latency } = recipe.evaluation;
  const { shape, classes } = bench.train;
  const rng = createRng(0).fork("latency");
  const { flow, student, dispose } = freshModels(row, bench.train, rng);
  try {
    const { noiseStd } = row.teacher;
    const what = {
      row: row.name,
      flow,
      student,
      noiseStd,
      samplers,
      guidance,
      ...latency!,
      shape,
      classes,
      rng,
      signal,
    };
    await writeStageFigures(folder, { figures: await measureLatency(what) });
  } finally {
    dispose();
  }
}

async function runStudent(
  run: Run,
  { row, students }: RowPlan,
  { seed, plan, cells }: StudentPlan,
  coupling: () => Promise<Coupling>,
  heldOut: () => Promise<HeldOut>,
): Promise<void> {
  const { bench, recipe, signal } = run;
  await run.stage(plan, async (folder) =>
    await trainStudent(row.student, await coupling(), bench.train, {
      label: `student ${row.name}, seed ${seed}`,
      seed,
      checkpoints: row.checkpoints,
      folder,
      identity: { stage: plan.id },
      signal,
    }));
  for (const cell of cells) {
    await run.stage(cell.plan, async (folder) => {
      const found = await foundBefore(recipe, students[0]!, seed, cell);
      const student = await loadStudent(row.student, bench.train, plan.folder, cell.checkpoint);
      try {
        await evaluateCell({
          bench,
          model: student.model,
          recipe: recipe.evaluation,
          cell,
          label: `${row.name} at ${cell.checkpoint}`,
          seed,
          folder,
          ...(found && { found }),
          ...(cell.guidance === "heldOut" && { heldOut: await heldOut() }),
          signal,
        });
      } finally {
        student.dispose();
      }
    });
  }
}

/** What the first seed's search found, where the recipe has the other seeds take it. */
async function foundBefore(recipe: ResolvedRecipe, first: StudentPlan, seed: number, cell: CellPlan) {
  const own = recipe.evaluation.guidanceSearch.seeds === "each" || first.seed === seed;
  if (own || cell.guidance !== "search") return undefined;
  const same = first.cells.find(({ checkpoint, sampler, guidance }) =>
    checkpoint === cell.checkpoint && sampler === cell.sampler && guidance === cell.guidance
  );
  return (await readStage<StageFigures>(same!.plan, "figures.json")).search;
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

async function makePictures(
  { bench, recipe, signal }: Run,
  { row, teacher, students }: RowPlan,
  guidance: GuidanceRecipe,
  folder: string,
  inputs?: TeacherInputs,
): Promise<void> {
  const [first] = students;
  const weights = new Map<string, number>();
  for (const { guidance: kind, checkpoint, sampler, plan } of first!.cells) {
    if (kind !== guidance || checkpoint !== recipe.evaluation.checkpoints.at(-1)) continue;
    weights.set(samplerName(sampler), (await readStage<StageFigures>(plan, "figures.json")).search?.weight ?? 1);
  }
  const own = teacher?.figures.find((one) => one.metric === "teacherFrechet" && one.guidance === guidance);
  const weight = own && (await readStage<StageFigures>(own.plan, "figures.json")).search?.weight;
  const last = recipe.evaluation.checkpoints.at(-1)!;
  const student = await loadStudent(row.student, bench.train, first!.plan.folder, last);
  try {
    await drawPictures({
      bench,
      model: student.model,
      recipe: recipe.evaluation,
      row: row.name,
      seed: first!.seed,
      weights,
      ...(inputs && { teacher: { inputs, ...(weight !== undefined && { weight }) } }),
      folder,
      signal,
    });
  } finally {
    student.dispose();
  }
}

async function obtainTeacher({ bench, stage, signal }: Run, { row, teacher }: RowPlan): Promise<NormalizingFlow> {
  const training = teacher?.training;
  if (!training) return await loadTeacher(row.teacher, bench.train, pretrainedWeights(row.teacher));
  await stage(training, (folder) =>
    trainTeacher(row.teacher, bench.train, {
      seed: 0,
      flips: row.flips,
      folder,
      identity: { stage: training.id },
      signal,
    }));
  return await loadTeacher(row.teacher, bench.train, teacherWeights(row.teacher, training.folder));
}

async function openCoupling(run: Run, { row, coupling }: RowPlan, flow?: NormalizingFlow): Promise<Coupling> {
  const { kind, ...given } = row.coupling;
  const member = couplings[kind] as CouplingKind;
  const bar = progress(`coupling ${row.name}`, 100, "%");
  try {
    return await member.build({
      dataset: run.bench.train,
      ...(flow && { teacher: { flow, noiseStd: row.teacher.noiseStd } }),
      // Not of the seed: all students of a row learn from one coupling, as from one teacher.
      rng: createRng(0).fork("coupling"),
      flips: row.flips,
      cacheDir: coupling.folder,
      onProgress: (fraction, note) => {
        run.signal.throwIfAborted();
        bar.update(Math.floor(fraction * 100), note);
      },
    }, member.options.parse(given));
  } finally {
    bar.stop();
  }
}

function stageRunner(options: RunOptions, seconds: Record<string, number>): Run["stage"] {
  return async (plan, make) => {
    const { name } = plan.stage;
    if (!plan.done) say(`${name}: ${plan.reason}`, options);
    const { seconds: spent, skipped } = await runStage(plan, make);
    const group = plan.stage.group ?? name;
    seconds[group] = (seconds[group] ?? 0) + spent;
    if (!skipped) say(`${name}: done in ${duration(spent)}`, options);
    else if (!options.quiet && Deno.stderr.isTerminal()) say(`${name}: unchanged, skipping`, options);
  };
}
