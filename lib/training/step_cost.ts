import { countWork, type TensorOutline } from "../engine/counting/mod.ts";
import type { Tensor, Tensors } from "../engine/mod.ts";
import type { AutoencoderDefinition, FlowDefinition, VelocityDefinition } from "../models/types.ts";
import { parameterCount, type Parameters, type ParameterSpec, unpack, valueAndGradient } from "../nn/parameters.ts";
import type { ImageShape } from "../nn/patches.ts";
import { autoencodingLoss } from "./autoencoding.ts";
import { flowMatchingLoss } from "./flow_matching.ts";
import { maxLikelihoodLoss } from "./max_likelihood.ts";
import { applyAdamW, type OptimizerOptions, scalarNames, type StepScalars, vectorNames } from "./optimizer.ts";

/** What an optimizer step takes, without its batch being drawn. */
export interface StepCost {
  readonly parameters: number;
  /** Of one sample, forward and backward; see `Work`. */
  readonly flops: number;
  /** Parameters, their average and the optimizer's two moments. */
  readonly stateBytes: number;
  /** The sum of the gradients. */
  readonly gradientBytes: number;
  /** The most that is in memory at once: state, gradients, activations and copies. */
  readonly peakBytes: number;
}

/** How the step is taken. */
export interface StepPlan {
  readonly batch: number;
  readonly microBatches: number;
  readonly optimizer: OptimizerOptions;
}

/** A model's loss and the batch that it is of, for any number of samples. */
export interface Trainee {
  readonly specs: readonly ParameterSpec[];
  readonly loss: (parameters: Parameters, batch: Tensors) => Tensor;
  readonly batchOf: (samples: number) => Readonly<Record<string, TensorOutline>>;
}

const images = (samples: number, shape: ImageShape): TensorOutline => ({ shape: [samples, ...shape] });
const numbers = (samples: number, dtype: "float32" | "int32"): TensorOutline => ({ shape: [samples], dtype });

/** A student under `flowMatchingLoss`. */
export function studentTrainee(student: VelocityDefinition, shape: ImageShape): Trainee {
  return {
    specs: student.specs,
    loss: flowMatchingLoss(student),
    batchOf: (samples) => ({
      data: images(samples, shape),
      noise: images(samples, shape),
      t: numbers(samples, "float32"),
      labels: numbers(samples, "int32"),
    }),
  };
}

/** A teacher under `maxLikelihoodLoss`. */
export function teacherTrainee(flow: FlowDefinition, shape: ImageShape): Trainee {
  return {
    specs: flow.specs,
    loss: maxLikelihoodLoss(flow),
    batchOf: (samples) => ({ data: images(samples, shape), labels: numbers(samples, "int32") }),
  };
}

/** An autoencoder under `autoencodingLoss`. */
export function autoencoderTrainee(autoencoder: AutoencoderDefinition, shape: ImageShape): Trainee {
  return {
    specs: autoencoder.specs,
    loss: autoencodingLoss(autoencoder, { klWeight: 1 }),
    batchOf: (samples) => ({ images: images(samples, shape), noise: images(samples, autoencoder.latentShape) }),
  };
}

/** Counts a step of `createTrainer` over the operations that it executes, without executing them. */
export async function stepCost({ specs, loss, batchOf }: Trainee, plan: StepPlan): Promise<StepCost> {
  const { batch, microBatches, optimizer } = plan;
  const parameters = parameterCount(specs), vector = { shape: [parameters] }, bytes = 4 * parameters;
  const samples = batch / microBatches;
  const gradientAt = (flat: Tensor, given: Tensors) =>
    valueAndGradient((named) => loss(named, given), unpack(flat, specs), specs);
  const ofMicroBatch = await countWork(
    { flat: vector, sum: vector, ...batchOf(samples) },
    ({ flat, sum, ...given }) => {
      const { value, gradient } = gradientAt(flat!, given);
      return { value, gradient: microBatches === 1 ? gradient : sum!.add(gradient.div(microBatches)) };
    },
  );
  const state = Object.fromEntries(vectorNames.map((name) => [name, vector]));
  const scalars = Object.fromEntries(
    scalarNames.map((name) => [name, { shape: [] }]),
  );
  const ofUpdate = await countWork({ ...state, ...scalars, gradient: vector }, ({ gradient, ...given }) => {
    const { vectors, gradientNorm } = applyAdamW(
      given as never,
      gradient!,
      given as unknown as StepScalars<Tensor>,
      optimizer,
    );
    return { ...vectors, gradientNorm };
  });
  // While gradients are computed, average and moments lie beside them; a single batch needs no sum.
  const beside = (vectorNames.length - 1 - (microBatches === 1 ? 1 : 0)) * bytes;
  return {
    parameters,
    flops: ofMicroBatch.flops / samples,
    stateBytes: vectorNames.length * bytes,
    gradientBytes: bytes,
    peakBytes: Math.max(ofMicroBatch.peakBytes + beside, ofUpdate.peakBytes),
  };
}
