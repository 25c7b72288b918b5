import { join } from "node:path";
import { writeFileAtomic } from "../core/files.ts";
import { createRng } from "../core/rng.ts";
import { beQuiet, duration, progress, say } from "../core/terminal.ts";
import * as couplings from "../couplings/mod.ts";
import type { Coupling, CouplingKind } from "../couplings/types.ts";
import { locate } from "../engine/locate.ts";
import type { NormalizingFlow } from "../models/types.ts";
import type { ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { evaluate, type Evaluation, type EvaluationInputs, type HeldOut } from "./evaluate.ts";
import { interruptSignal } from "./interrupt.ts";
import { limitRecipe } from "./limit.ts";
import { planRows, type RowPlan, stagesOf } from "./plan.ts";
import { printPlan } from "./dry_run.ts";
import { reportRun } from "./report.ts";
import { readStage, runStage, type StagePlan } from "./stages.ts";
import { loadStudent, trainingLoss, trainStudent } from "./student.ts";
import { loadTeacher, pretrainedWeights, teacherWeights, trainTeacher } from "./teacher.ts";
import { heldOutNoise, reportTeacher } from "./teacher_report.ts";
import { loadSplits, openWorkbench, outlineSplits, type Workbench } from "./workbench.ts";

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
  if (options.dryRun) {
    const splits = await outlineSplits(recipe.data, options.limit);
    const engine = options.engine === "auto" ? (await locate() ? "native" : "wasm") : options.engine;
    return printPlan(recipe, await planRows(recipe, { ...options, engine }, splits), splits);
  }
  const splits = await loadSplits(recipe.data, options.limit);
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
  if (plan.teacher) {
    await run.stage(plan.teacher.report, async (folder) => {
      const { sigma } = await coupling();
      const { teacher: recipe, name } = plan.row;
      await reportTeacher(run.bench, teacher!, recipe, run.recipe.evaluation, {
        sigma: sigma!,
        folder,
        row: `${name} teacher`,
        signal: run.signal,
      });
    });
  }
  let heldOut: HeldOut | undefined;
  for (const { seed, student, evaluations } of plan.seeds) {
    await run.stage(student, async (folder) =>
      await trainStudent(plan.row.student, await coupling(), run.bench.train, {
        label: `student ${plan.row.name}, seed ${seed}`,
        seed,
        checkpoints: run.recipe.evaluation.checkpoints,
        folder,
        identity: { stage: student.id },
        signal: run.signal,
      }));
    for (const { checkpoint, plan: evaluation } of evaluations) {
      await run.stage(evaluation, async (folder) => {
        const last = checkpoint === Math.max(...run.recipe.evaluation.checkpoints);
        if (teacher && last) heldOut ??= await openHeldOut(run, plan, teacher, await coupling());
        const searches = await firstSearches(run, plan, seed, checkpoint);
        await evaluateStudent(run, plan, {
          seed,
          checkpoint,
          student,
          folder,
          searches,
          ...(last && heldOut && { heldOut }),
        });
      });
    }
  }
  if (open) (await open).dispose();
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

async function openHeldOut({ bench, recipe }: Run, { row }: RowPlan, flow: NormalizingFlow, { sigma }: Coupling) {
  return await heldOutNoise(flow, bench.test, row.teacher.noiseStd, sigma!, recipe.evaluation.images);
}

/** What the first seed's searches found, where the recipe has the other seeds take it. */
async function firstSearches({ recipe }: Run, { seeds }: RowPlan, seed: number, checkpoint: number) {
  const [first] = seeds;
  if (recipe.evaluation.guidanceSearch.seeds === "each" || first!.seed === seed) return {};
  const { plan } = first!.evaluations.find((evaluation) => evaluation.checkpoint === checkpoint)!;
  return (await readStage<Evaluation>(plan, "evaluation.json")).searches;
}

async function evaluateStudent(
  { bench, recipe, signal }: Run,
  { row }: RowPlan,
  what: Pick<EvaluationInputs, "seed" | "checkpoint" | "folder" | "searches" | "heldOut"> & { student: StagePlan },
): Promise<void> {
  const { student, checkpoint } = what;
  const { model, dispose } = await loadStudent(row.student, bench.train, student.folder, checkpoint);
  try {
    const loss = await trainingLoss(row.student, student.folder, checkpoint);
    await evaluate({ ...what, bench, model, loss, recipe: recipe.evaluation, row: row.name, signal });
  } finally {
    dispose();
  }
}

function stageRunner(options: RunOptions, seconds: Record<string, number>): Run["stage"] {
  return async (plan, make) => {
    const { name } = plan.stage;
    if (!plan.done) say(`${name}: ${plan.reason}`, options);
    const { seconds: spent, skipped } = await runStage(plan, make);
    seconds[name] = spent;
    if (!skipped) say(`${name}: done in ${duration(spent)}`, options);
    else if (!options.quiet && Deno.stderr.isTerminal()) say(`${name}: unchanged, skipping`, options);
  };
}
