import { exists } from "../core/files.ts";
import { hashFile, hashOf } from "../core/hash.ts";
import * as couplings from "../couplings/mod.ts";
import type { CouplingKind } from "../couplings/types.ts";
import { locate } from "../engine/locate.ts";
import { openEngine } from "../engine/mod.ts";
import { sampledMetrics, type TeacherMetric } from "../recipes/metric_names.ts";
import { rowRecipes } from "../recipes/rows.ts";
import type { GuidanceRecipe, ResolvedRecipe, RowRecipe, RunOptions, SamplerRecipe } from "../recipes/types.ts";
import { type Stage as StageName, stages } from "../recipes/types.ts";
import { samplerName } from "../results/figures.ts";
import { codeVersion } from "./code_version.ts";
import { featuresKey } from "./features.ts";
import { cellCode, couplingCode, latencyCode, picturesCode, studentCode, teacherFiguresCode } from "./stage_code.ts";
import { planStage, type Stage, type StagePlan } from "./stages.ts";
import { checkPretrained, pretrainedWeights, teacherStage } from "./teacher.ts";
import type { Splits } from "./workbench.ts";

/** The stages of one row. Rows, and experiments, share the stages that they agree in. */
export interface RowPlan {
  readonly row: RowRecipe;
  /** Absent where the coupling has no use for one. */
  readonly teacher?: TeacherPlan;
  readonly coupling: StagePlan;
  /** One a seed; none where nothing is asked of a student. */
  readonly students: readonly StudentPlan[];
  /** Pictures of the same seeds under each guidance, of the first seed's student. */
  readonly pictures: readonly PicturesPlan[];
  /** Teacher and students timed against each other, where that is asked for. */
  readonly latency?: StagePlan;
}

/** Where a row's teacher comes from, and what is measured of it. */
export interface TeacherPlan {
  /** Training it; absent for a committed one. */
  readonly training?: StagePlan;
  readonly figures: readonly TeacherFigures[];
}

export interface TeacherFigures {
  readonly metric: Exclude<TeacherMetric, "parameters">;
  /** Of the teacher's own samples. */
  readonly guidance?: GuidanceRecipe;
  readonly plan: StagePlan;
}

export interface StudentPlan {
  readonly seed: number;
  readonly plan: StagePlan;
  readonly cells: readonly CellPlan[];
}

/** One cell of the table: a student at a checkpoint under one solver and guidance. */
export interface CellPlan {
  readonly checkpoint: number;
  readonly sampler: SamplerRecipe;
  /** `heldOut`: unguided, from the teacher's z of held-out images instead of N(0, I). */
  readonly guidance: GuidanceRecipe | "heldOut";
  readonly plan: StagePlan;
}

export interface PicturesPlan {
  readonly guidance: GuidanceRecipe;
  readonly plan: StagePlan;
}

/** Looks up every stage of a recipe: what is there, what must run, and why. Computes nothing. */
export async function planRows(recipe: ResolvedRecipe, options: RunOptions, splits: Splits): Promise<RowPlan[]> {
  // Engines round differently: what one has made, the other makes again. `auto` is settled before planning.
  const shared: Shared = {
    recipe,
    options,
    data: { train: splits.train.digest, test: splits.test.digest },
    shape: splits.train.shape,
    classes: splits.train.classes,
    features: await featuresKey(recipe.features),
    stage: (stage, name) => planStage(stage, { forced: isForced(options, name), scope: scopeOf(recipe) }),
  };
  const plans: RowPlan[] = [];
  for (const row of rowRecipes(recipe)) plans.push(await planRow(shared, row));
  return plans;
}

/** Every stage of some rows once, in the order in which they run. */
export function stagesOf(rows: readonly RowPlan[]): StagePlan[] {
  const all = rows.flatMap(({ teacher, coupling, students, pictures, latency }) => [
    ...(teacher?.training ? [teacher.training] : []),
    coupling,
    ...(teacher?.figures ?? []).map(({ plan }) => plan),
    ...students.flatMap(({ plan, cells }) => [plan, ...cells.map((cell) => cell.plan)]),
    ...pictures.map(({ plan }) => plan),
    ...(latency ? [latency] : []),
  ]);
  return [...new Map(all.map((plan) => [plan.folder, plan])).values()];
}

/** What the stages of all rows have in common. */
interface Shared {
  readonly recipe: ResolvedRecipe;
  readonly options: RunOptions;
  readonly data: { readonly train: string; readonly test: string };
  readonly shape: readonly [number, number, number];
  readonly classes: number;
  /** What the feature network and its reference are identified by. */
  readonly features: string;
  readonly stage: (stage: Stage, name: StageName) => Promise<StagePlan>;
}

const scopeOf = ({ experiment, scale }: ResolvedRecipe) => `${experiment}/${scale}`;

function isForced({ force }: RunOptions, stage: StageName): boolean {
  return force === "all" || (force !== undefined && stages.indexOf(stage) >= stages.indexOf(force));
}

async function planRow(shared: Shared, row: RowRecipe): Promise<RowPlan> {
  const { recipe, options, data, stage } = shared;
  const { kind } = row.coupling;
  const usesTeacher = (couplings[kind] as CouplingKind).usesTeacher === true;
  const teacher = usesTeacher ? await planTeacher(shared, row) : undefined;
  const couplingKey = {
    coupling: row.coupling,
    flips: row.flips,
    data: data.train,
    teacher: teacher?.key ?? null,
    engine: options.engine,
    code: await codeVersion(couplingCode(kind, usesTeacher ? row.teacher.model.kind : undefined)),
  };
  const coupling = await stage({ kind: "coupling", name: `coupling ${row.name}`, key: couplingKey }, "coupling");
  const students = await planStudents(shared, row, couplingKey, usesTeacher);
  const pictures: PicturesPlan[] = [];
  if (row.metrics.includes("samples")) {
    for (const guidance of recipe.evaluation.guidance) {
      const key = {
        student: students[0]!.plan.id,
        cells: students[0]!.cells.filter((cell) => cell.guidance === guidance).map(({ plan }) => plan.id),
        teacher: teacher?.plan.figures.filter((one) => one.guidance === guidance).map(({ plan }) => plan.id) ?? [],
        guidance,
        count: recipe.evaluation.pictures,
        code: await codeVersion(picturesCode),
      };
      const name = `pictures ${row.name}, ${guidance}`;
      pictures.push({ guidance, plan: await stage({ kind: "pictures", name, key }, "evaluation") });
    }
  }
  const latency = row.metrics.includes("latency") ? await planLatency(shared, row) : undefined;
  return { row, ...(teacher && { teacher: teacher.plan }), coupling, students, pictures, ...(latency && { latency }) };
}

/** No model is trained for it: the shape of the images is all that it takes from the data. */
async function planLatency({ recipe, options, shape, classes, stage }: Shared, row: RowRecipe): Promise<StagePlan> {
  const { teacher, student } = row;
  const { samplers, guidance, latency } = recipe.evaluation;
  const key = {
    row: row.name, // by which its figures go
    teacher: teacher.model,
    student: student.model,
    noiseStd: teacher.noiseStd,
    shape,
    classes,
    samplers,
    guidance,
    latency,
    engine: options.engine,
    on: await timedOn(options),
    code: await codeVersion(latencyCode(teacher.model.kind, student.model.kind)),
  };
  return await stage({ kind: "latency", name: `latency ${row.name}`, key }, "evaluation");
}

/** What times are of: with another engine, device or number of threads they are measured again. */
async function timedOn({ engine }: RunOptions) {
  // A dry run plans for an engine that may not be installed yet.
  if (engine === "native" && !await locate()) return "no engine yet";
  const { version, device, threads } = await openEngine(engine);
  return { version, device, threads };
}

async function planTeacher(shared: Shared, row: RowRecipe): Promise<{ plan: TeacherPlan; key: string }> {
  const { recipe, options: { engine, teacher: from, dryRun }, data, features, stage } = shared;
  const { model, noiseStd } = row.teacher;
  // A dry run plans for a teacher that is not there yet as for one that is to be trained.
  const trains = from === "train" || dryRun && !await exists(pretrainedWeights(row.teacher));
  const training = trains ? await stage(await teacherStage(row, data.train, engine), "teacher") : undefined;
  if (!training) await checkPretrained(row);
  const key = training?.id ?? await hashFile(pretrainedWeights(row.teacher));
  const common = { teacher: key, noiseStd, data, engine };
  const { images, samples, guidanceSearch, guidance } = recipe.evaluation;
  const normalised = { coupling: row.coupling, flips: row.flips, images };
  const figures: TeacherFigures[] = [];
  const made = { flow: model.kind, coupling: row.coupling.kind, features: recipe.features };
  const add = async (metric: TeacherFigures["metric"], of: object, guided?: GuidanceRecipe) => {
    if (!row.metrics.includes(metric)) return;
    const name = `${metric} ${row.name} teacher${guided ? `, ${guided}` : ""}`;
    const key = { metric, ...common, ...of, code: await codeVersion(teacherFiguresCode(metric, made)) };
    const group = `teacher report ${row.name}`;
    const plan = await stage({ kind: "teacherFigures", name, group, key }, "evaluation");
    figures.push({ metric, ...(guided && { guidance: guided }), plan });
  };
  await add("likelihood", { images });
  await add("priorMismatch", normalised);
  await add("zDistance", normalised);
  for (const kind of guidance) {
    const of = { features, samples, guidance: kind, ...(kind === "search" && { guidanceSearch }) };
    await add("teacherFrechet", of, kind);
  }
  return { plan: { ...(training && { training }), figures }, key };
}

async function planStudents(
  shared: Shared,
  row: RowRecipe,
  couplingKey: object,
  usesTeacher: boolean,
): Promise<StudentPlan[]> {
  const { recipe, features, data, stage } = shared;
  const { checkpoints, samplers, guidance, samples, guidanceSearch, images } = recipe.evaluation;
  const sampled = sampledMetrics.some((metric) => row.metrics.includes(metric));
  if (!sampled && !row.metrics.includes("loss")) return [];
  const velocity = row.student.model.kind;
  const { checkpoints: _, ...student } = row.student;
  const trainingCode = await codeVersion(studentCode(velocity));
  const codeOf = (heldOut: boolean) => codeVersion(cellCode(velocity, recipe.features, heldOut));
  const [code, heldOutCode] = [await codeOf(false), await codeOf(true)];
  const keyOf = (seed: number) => ({ ...couplingKey, student, seed, checkpoints: row.checkpoints, trainingCode });
  const heldOut = usesTeacher && row.metrics.includes("priorMismatch");
  const students: StudentPlan[] = [];
  for (const seed of recipe.seeds) {
    const key = keyOf(seed), name = `${row.name} seed ${seed}`;
    const plan = await stage({ kind: "student", name: `student ${name}`, key }, "student");
    const cells: CellPlan[] = [];
    const add = async (checkpoint: number, sampler: SamplerRecipe, kind: CellPlan["guidance"]) => {
      // Where only the first seed searches, the others depend on what it found.
      const searched = guidanceSearch.seeds === "each" ? seed : recipe.seeds[0]!;
      const of = {
        student: plan.id,
        checkpoint,
        sampler,
        guidance: kind,
        ...(kind === "search" && { guidanceSearch, searched: hashOf(keyOf(searched)) }),
        ...(kind === "heldOut" ? { images } : { samples }),
        features,
        data,
        code: kind === "heldOut" ? heldOutCode : code,
      };
      const cell = `cell ${name} at ${checkpoint}, ${samplerName(sampler)}, ${kind}`;
      const made = { kind: "cell", name: cell, group: `evaluation ${name}`, key: of } as const;
      cells.push({ checkpoint, sampler, guidance: kind, plan: await stage(made, "evaluation") });
    };
    if (sampled) {
      for (const checkpoint of checkpoints) {
        for (const sampler of samplers) {
          for (const kind of guidance) await add(checkpoint, sampler, kind);
          if (heldOut && checkpoint === checkpoints.at(-1)) await add(checkpoint, sampler, "heldOut");
        }
      }
    }
    students.push({ seed, plan, cells });
  }
  return students;
}
