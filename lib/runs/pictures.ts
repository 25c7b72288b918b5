import { join } from "node:path";
import { meanOf } from "../metrics/mean.ts";
import type { Measurement } from "../metrics/types.ts";
import type { VelocityModel } from "../models/types.ts";
import type { EvaluationRecipe, GuidanceRecipe } from "../recipes/types.ts";
import { samplerName } from "../results/figures.ts";
import { writeSafetensors } from "../training/safetensors.ts";
import { drawWithStudent } from "./cell.ts";
import type { RowPlan } from "./plan.ts";
import type { Run } from "./run.ts";
import { type StageFigures, writeStageFigures } from "./stage_figures.ts";
import { readStage } from "./stages.ts";
import { loadStudent } from "./student.ts";
import type { TeacherInputs } from "./teacher_inputs.ts";
import { teacherDraw } from "./teacher_samples.ts";
import type { Workbench } from "./workbench.ts";

/** What is drawn of one row under one guidance. */
export interface PicturesInputs {
  readonly bench: Workbench;
  readonly model: VelocityModel;
  readonly recipe: EvaluationRecipe;
  readonly row: string;
  readonly seed: number;
  /** Guidance weight by sampler, 1 is none. */
  readonly weights: ReadonlyMap<string, number>;
  /** Where the row has a teacher: it and its guidance weight. */
  readonly teacher?: { readonly inputs: TeacherInputs; readonly weight?: number };
  readonly folder: string;
  readonly signal: AbortSignal;
}

/**
 * Pictures of the same seeds (paper Figures 4, 7–18): the teacher's from σ_f·z,
 * each solver's from z, `[classes · pictures, …shape]`, all of a class together.
 * Measures how far the student's image is from the teacher's of the same seed,
 * as a share of its distance from the teacher's next image of that class: 1
 * says that only the distribution was distilled (paper §4.1.3).
 */
export async function drawPictures(inputs: PicturesInputs): Promise<void> {
  const { bench, recipe, row, seed, folder, teacher, model, signal } = inputs;
  const { classes } = bench.train;
  const each = recipe.pictures, count = classes * each;
  const labels = Int32Array.from({ length: count }, (_, i) => Math.floor(i / each));
  const shape = [count, ...bench.images.train.shape];
  const tensors: [string, { shape: number[]; data: Float32Array }][] = [];
  const figures: Record<string, Measurement> = {};
  const stream = "pictures";
  let own: Float32Array | undefined;
  if (teacher) {
    const { weight } = teacher;
    const drawn = await teacherDraw(teacher.inputs, {
      count,
      stream,
      labels,
      fromSeed: seed,
      ...(weight !== undefined && { weight }),
    });
    tensors.push(["teacher", { shape, data: own = await bench.toImages(drawn.data) }]);
  }
  for (const sampler of recipe.samplers) {
    const name = samplerName(sampler), weight = inputs.weights.get(name) ?? 1;
    const label = `pictures ${row}, ${name}`;
    const drawn = await drawWithStudent(bench, model, {
      label,
      sampler,
      weight,
      batch: recipe.batch,
      count,
      seed,
      stream,
      labels,
      signal,
    });
    const data = await bench.toImages(drawn.data);
    tensors.push([name, { shape, data }]);
    if (own && each > 1) figures[name] = pairDistance(data, own, count, each);
  }
  await writeSafetensors(join(folder, "pictures.safetensors"), tensors, {});
  await writeStageFigures(folder, { figures });
}

/**
 * ‖student(z) − teacher(z)‖ over ‖student(z) − teacher(z′)‖, z′ the next seed
 * of the class: mean over images.
 *
 * @param each images of a class, one class after the other; at least 2
 */
export function pairDistance(student: Float32Array, teacher: Float32Array, count: number, each: number): Measurement {
  const dims = student.length / count;
  const distance = (a: number, b: number) => {
    let sum = 0;
    for (let i = 0; i < dims; i++) sum += (student[a * dims + i]! - teacher[b * dims + i]!) ** 2;
    return Math.sqrt(sum);
  };
  return meanOf(Float64Array.from({ length: count }, (_, i) => {
    const next = i - i % each + (i + 1) % each;
    return distance(i, i) / distance(i, next);
  }));
}

/** Draws the pictures of a row under one guidance, with the weights that its cells found. */
export async function makePictures(
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
