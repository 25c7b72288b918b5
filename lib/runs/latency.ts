import { join } from "node:path";
import { writeFileAtomic } from "../core/files.ts";
import { readJsonIfSound } from "../core/json.ts";
import { createRng, type Rng } from "../core/rng.ts";
import { withProgress } from "../core/terminal.ts";
import type { Dataset } from "../data/types.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import {
  type Contenders,
  interleave,
  type LatencyFigure,
  latencyName,
  medianMeasurement,
  speedupMeasurement,
} from "../metrics/latency.ts";
import type { Measurement } from "../metrics/types.ts";
import { bindFlow, bindVelocity } from "../models/bind.ts";
import type { FlowGuidance, NormalizingFlow, VelocityModel } from "../models/types.ts";
import { initialize } from "../nn/parameters.ts";
import type { GuidanceRecipe, RowRecipe, SamplerRecipe } from "../recipes/types.ts";
import { figureKey, samplerName } from "../results/figures.ts";
import { balancedLabels, type SampleSource, studentSource } from "../sampling/draw.ts";
import { withGuidance } from "../sampling/guidance.ts";
import { sampler } from "../sampling/ode.ts";
import { teacherSource } from "../sampling/teacher.ts";
import { guidanceName } from "./gather.ts";
import type { RowPlan } from "./plan.ts";
import { flowOf, velocityOf } from "./recipe_models.ts";
import type { Run } from "./run.ts";
import { writeStageFigures } from "./stage_figures.ts";
import { measurementsForm } from "./stage_forms.ts";

/** Two models that are timed against each other, and how. */
export interface LatencyInputs {
  readonly flow: NormalizingFlow;
  /** η of paper §2.2: the teacher's samples are denoised by it. */
  readonly noiseStd: number;
  /** As the evaluation's. */
  readonly denoiseBatch?: number | undefined;
  readonly student: VelocityModel;
  readonly samplers: readonly SamplerRecipe[];
  /** Samples drawn at once. */
  readonly batch: number;
  /** `search` stands for guided; the weight does not change the work, so none is searched for. */
  readonly guidance: GuidanceRecipe;
  readonly guidanceWeight: number;
  /** Rounds: one run of each contender. */
  readonly repeats: number;
  /** `[channels, height, width]`. */
  readonly shape: readonly [number, number, number];
  readonly classes: number;
  readonly rng: Rng;
  /** The table's row, and how progress calls it. */
  readonly row: string;
  readonly signal: AbortSignal;
}

/**
 * Seconds a sample of the teacher (cached decoding, then its denoising step;
 * and decoding alone) and of the student under each solver, in one process and
 * precision (paper Table 8). A run starts from noise and labels on the device
 * and ends when the images have been read back.
 *
 * @returns by `figureKey`; a speed-up is over the teacher with denoising, batch and guidance alike
 */
export async function measureLatency(inputs: LatencyInputs): Promise<Record<string, Measurement>> {
  const { batch, guidance, row, samplers, repeats, signal } = inputs;
  const [noise, labels] = startOf(inputs);
  const runs = (samplers.length + 2) * (repeats + 1);
  const label = `latency ${row}, ${guidanceName(guidance)}, batch ${batch}`;
  try {
    const time = (onRun: (done: number) => void) => interleave(contenders(inputs, noise, labels), { repeats, onRun });
    return figuresOf(inputs, await withProgress(label, runs, "runs", time, signal));
  } finally {
    tf.dispose([noise, labels]);
  }
}

const teacherName = "teacher", decodingName = "decoding";

function contenders(inputs: LatencyInputs, noise: Tensor, labels: Tensor): Contenders {
  const { flow, noiseStd, denoiseBatch, student, samplers, guidance, guidanceWeight } = inputs;
  const weight = guidance === "unguided" ? 1 : guidanceWeight;
  const guided: { guidance?: FlowGuidance } = weight === 1 ? {} : { guidance: { weight, annealed: true } };
  const field = withGuidance(student, weight);
  const run = (source: SampleSource) => async () => {
    const { data } = await source(noise, labels);
    await data.data();
    data.dispose();
  };
  return {
    [teacherName]: run(teacherSource(flow, { noiseStd, denoiseBatch, ...guided })),
    [decodingName]: run(teacherSource(flow, guided)),
    ...Object.fromEntries(
      samplers.map((options) => [samplerName(options), run(studentSource(sampler(options), field))]),
    ),
  };
}

/** What all contenders start from. */
function startOf({ batch, shape, classes, rng }: LatencyInputs): [Tensor, Tensor] {
  const values = rng.fork("noise").at(batch).normal(batch * shape[0] * shape[1] * shape[2]);
  return [tf.tensor(values, [batch, ...shape]), tf.tensor1d(balancedLabels(batch, classes), "int32")];
}

function figuresOf(
  { row, samplers, batch, guidance: kind }: LatencyInputs,
  seconds: Readonly<Record<string, Float64Array>>,
): Record<string, Measurement> {
  const guidance = guidanceName(kind);
  const figures: Record<string, Measurement> = {};
  const put = (of: { row: string; sampler?: string }, figure: LatencyFigure, measured: Measurement) =>
    figures[figureKey({ ...of, guidance, metric: latencyName(figure, batch) })] = measured;
  const each = (name: string) => seconds[name]!.map((whole) => whole / batch);
  const teacher = each(teacherName);
  put({ row: `${row} teacher` }, "seconds", medianMeasurement(teacher));
  put({ row: `${row} teacher` }, "decodeSeconds", medianMeasurement(each(decodingName)));
  for (const solver of samplers.map(samplerName)) {
    put({ row, sampler: solver }, "seconds", medianMeasurement(each(solver)));
    put({ row, sampler: solver }, "speedup", speedupMeasurement(teacher, each(solver)));
  }
  return figures;
}

/** A row's teacher and student with the weights that training would start from: what they cost does not depend on them. */
export function freshModels(row: RowRecipe, dataset: Dataset, rng: Rng) {
  const [flow, velocity] = [flowOf(row.teacher, dataset), velocityOf(row.student, dataset)];
  const vectors = ([["teacher", flow], ["student", velocity]] as const).map(([name, { specs }]) =>
    tf.tensor1d(initialize(specs, rng.fork(name)))
  );
  return {
    flow: bindFlow(flow, vectors[0]!),
    student: bindVelocity(velocity, vectors[1]!),
    dispose: () => tf.dispose(vectors),
  };
}

/**
 * Times the models of a row, freshly initialised, and keeps the figures in the
 * stage's folder: each guidance and batch as it is done, so that a run that was
 * stopped goes on from there.
 */
export async function timeRow({ bench, recipe, signal }: Run, { row }: RowPlan, folder: string): Promise<void> {
  const { samplers, guidance, latency, denoiseBatch } = recipe.evaluation;
  const { shape, classes } = bench.train;
  const rng = createRng(0).fork("latency");
  const { flow, student, dispose } = freshModels(row, bench.train, rng);
  try {
    const { noiseStd } = row.teacher;
    const { batches, repeats, guidanceWeight } = latency!;
    const models = { row: row.name, flow, student, noiseStd, denoiseBatch, samplers, shape, classes };
    const figures: Record<string, Measurement> = {};
    for (const kind of guidance) {
      for (const batch of batches) {
        const file = join(folder, `${kind}-batch-${batch}.json`);
        let measured = await readJsonIfSound(file, (json) => measurementsForm.parse(json));
        if (!measured) {
          measured = await measureLatency({
            ...models,
            guidance: kind,
            guidanceWeight,
            batch,
            repeats,
            rng,
            signal,
          });
          await writeFileAtomic(file, JSON.stringify(measured));
        }
        Object.assign(figures, measured);
      }
    }
    await writeStageFigures(folder, { figures });
  } finally {
    dispose();
  }
}
