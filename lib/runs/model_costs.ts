import { classifierWork, inceptionWork } from "../metrics/feature_cost.ts";
import { denoiseWork, encodeWork, imagesWork, latentsWork, velocityWork } from "../models/cost.ts";
import type { FlowDefinition } from "../models/types.ts";
import { parameterCount } from "../nn/parameters.ts";
import type { ImageShape } from "../nn/patches.ts";
import type { ResolvedRecipe, RowRecipe, TrainingRecipe } from "../recipes/types.ts";
import { type StepCost, stepCost, studentTrainee, teacherTrainee, type Trainee } from "../training/step_cost.ts";
import { autoencoderOf, flowOf, velocityOf } from "./recipe_models.ts";
import { teacherBatch } from "./teacher_inputs.ts";
import { optimizerOf } from "./train.ts";
import type { Splits } from "./workbench.ts";

/** A model in training, at its recipe's micro-batch. */
export interface TrainedCost extends StepCost {
  /** What an image is to the model: patches, or places of the latents. */
  readonly tokens: number;
  /** Layers that one pass goes through, one after the other. */
  readonly layers: number;
  /** Samples at a time. */
  readonly microBatch: number;
  /** Bytes that each sample more of a micro-batch adds. */
  readonly sampleBytes: number;
  /** The most that is in memory at once where layers are computed again for their gradients. */
  readonly recomputedBytes: number;
}

export interface StudentCost extends TrainedCost {
  /** Of one sample: one evaluation of the velocity. */
  readonly forward: number;
  /** Bytes while samples are drawn, `evaluation.batch` at a time, with guidance where the recipe searches its weight. */
  readonly drawingBytes: number;
}

export interface TeacherCost extends TrainedCost {
  /** Of one sample: data to noise, or back. */
  readonly forward: number;
  /** Of one sample: the score step. */
  readonly denoise: number;
  /** Bytes while a batch of a student's training is encoded. */
  readonly encodingBytes: number;
  /** Bytes while the teacher's own samples are decoded with guidance, or denoised, whichever takes more. */
  readonly drawingBytes: number;
}

/** Operations of one image through the networks that models are measured with. */
export interface ImageCost {
  readonly features: number;
  /** Into the latents, and out of them; 0 for pixels. */
  readonly encode: number;
  readonly decode: number;
}

/** What the models of a recipe cost, each counted once. */
export interface ModelCosts {
  student(row: RowRecipe): Promise<StudentCost>;
  teacher(row: RowRecipe): Promise<TeacherCost>;
  images(): Promise<ImageCost>;
}

/** Counts what is asked for, when it is asked for. */
export function modelCosts(recipe: ResolvedRecipe, { train, images }: Splits): ModelCosts {
  const counted = new Map<string, Promise<unknown>>();
  const once = <Cost>(key: unknown, count: () => Promise<Cost>): Promise<Cost> => {
    const name = JSON.stringify(key);
    if (!counted.has(name)) counted.set(name, count());
    return counted.get(name) as Promise<Cost>;
  };
  const { shape } = train;
  const { batches = [] } = recipe.evaluation.latency ?? {}, largest = Math.max(teacherBatch, ...batches);
  return {
    student: ({ student }) =>
      once(["student", student.model, student.training], async () => {
        const velocity = velocityOf(student, train), { patch, depth } = student.model;
        const trainee = (training: TrainingRecipe) =>
          studentTrainee(velocityOf({ ...student, training }, train), shape);
        const { batch, guidance } = recipe.evaluation, passes = guidance.includes("search") ? 2 : 1;
        return {
          ...await trained(trainee, student.training, tokensOf(shape, patch), depth),
          forward: (await velocityWork(velocity, shape)).flops,
          drawingBytes: (await velocityWork(velocity, shape, passes * batch)).peakBytes,
        };
      }),
    teacher: ({ teacher, student }) =>
      once(["teacher", teacher.model, teacher.training, student.training.batch], async () => {
        const flow = flowOf(teacher, train), { patch, width, blocks } = teacher.model;
        const layers = blocks.reduce((sum, layers) => sum + layers, 0);
        const trainee = (training: TrainingRecipe) => teacherTrainee(flowOf({ ...teacher, training }, train), shape);
        return {
          ...await trained(trainee, teacher.training, tokensOf(shape, patch), layers),
          forward: (await encodeWork(flow, shape)).flops,
          denoise: (await denoiseWork(flow, shape)).flops,
          encodingBytes: (await encodeWork(flow, shape, student.training.batch)).peakBytes,
          drawingBytes: Math.max(
            decodingBytes(flow, 2 * largest, tokensOf(shape, patch) * width * Math.max(...blocks)),
            (await denoiseWork(flow, shape, Math.min(recipe.evaluation.denoiseBatch ?? largest, largest))).peakBytes,
          ),
        };
      }),
    images: () =>
      once("images", async () => {
        const { train } = images, { features, autoencoder } = recipe;
        const work = features.kind === "inception" ? inceptionWork() : classifierWork(train.shape, train.classes);
        const latents = autoencoder && autoencoderOf(autoencoder, train);
        return {
          features: (await work).flops,
          encode: latents ? (await latentsWork(latents, train.shape)).flops : 0,
          decode: latents ? (await imagesWork(latents)).flops : 0,
        };
      }),
  };
}

async function trained(
  traineeOf: (training: TrainingRecipe) => Trainee,
  training: TrainingRecipe,
  tokens: number,
  layers: number,
): Promise<TrainedCost> {
  const plan = planOf(training), microBatch = training.batch / training.microBatches, trainee = traineeOf(training);
  const cost = await stepCost(trainee, plan);
  const recomputing = await stepCost(traineeOf({ ...training, recompute: true }), plan);
  // A pass of other samples tells what each of them adds.
  const other = Math.max(1, Math.round(microBatch / 2)) === microBatch ? microBatch + 1 : Math.round(microBatch / 2);
  const beside = await stepCost(trainee, { ...plan, batch: other * training.microBatches });
  const sampleBytes = Math.max(0, (cost.peakBytes - beside.peakBytes) / (microBatch - other));
  return { ...cost, tokens, layers, microBatch, sampleBytes, recomputedBytes: recomputing.peakBytes };
}

/** Weights, flat and unpacked, and the keys and values of the deepest block. */
function decodingBytes({ specs }: FlowDefinition, rows: number, cached: number): number {
  return 4 * (2 * parameterCount(specs) + 2 * rows * cached);
}

const planOf = (training: Omit<TrainingRecipe, "labelDropout">) => ({
  batch: training.batch,
  microBatches: training.microBatches,
  optimizer: optimizerOf(training),
});

const tokensOf = ([, height, width]: ImageShape, patch: number) => (height / patch) * (width / patch);
