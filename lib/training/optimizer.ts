import { type Tensor, tf } from "../engine/mod.ts";

/** AdamW (Loshchilov & Hutter 2019), gradient clipping and the average of the weights. */
export interface OptimizerOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled: each step shrinks all parameters by learningRate · weightDecay. */
  readonly weightDecay: number;
  /** The gradient is scaled down to this global L2 norm when it is longer. */
  readonly clipNorm?: number;
  /** Per-step decay of the exponential moving average of the parameters, from step 0 on. */
  readonly emaDecay: number;
  /** For short runs: decay min(emaDecay, (1 + step) / (10 + step)), which forgets the start sooner. */
  readonly emaWarmup?: boolean;
}

/** SiT's optimizer (betas .9, .999, no decay of weights), the average at small scale's .999. */
export const defaultOptimizer: OptimizerOptions = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  emaDecay: 0.999,
};

/** What one update reads and replaces, in the order of files. */
export const vectorNames = ["parameters", "ema", "firstMoment", "secondMoment"] as const;
export type VectorName = typeof vectorNames[number];
/** Flat vectors `[parameterCount]`. */
export type OptimizerVectors = Readonly<Record<VectorName, Tensor>>;

/**
 * The numbers that change from step to step: the bias 1 − beta^(step + 1) of
 * either moment, and emaRate = 1 − decay of the moving average.
 */
export const scalarNames = ["learningRate", "correction1", "correction2", "emaRate"] as const;
export type StepScalars<Value> = Readonly<Record<typeof scalarNames[number], Value>>;

/**
 * The numbers of step 0, 1, 2 …, from the integer alone and in float64: a
 * running float32 product of betas would not be the same after a resume.
 */
export function stepScalars(options: OptimizerOptions, step: number, learningRate: number): StepScalars<number> {
  const warm = options.emaWarmup ? (1 + step) / (10 + step) : 1;
  return {
    learningRate,
    correction1: 1 - options.beta1 ** (step + 1),
    correction2: 1 - options.beta2 ** (step + 1),
    emaRate: 1 - Math.min(options.emaDecay, warm),
  };
}

/**
 * One AdamW step and one step of the moving average. Pure; fit for a trace.
 *
 * @param gradient `[parameterCount]`
 * @returns the new vectors and the norm of the gradient before clipping; the caller disposes them
 */
export function applyAdamW(
  old: OptimizerVectors,
  gradient: Tensor,
  scalars: StepScalars<Tensor>,
  { beta1, beta2, epsilon, weightDecay, clipNorm }: OptimizerOptions,
): { readonly vectors: OptimizerVectors; readonly gradientNorm: Tensor } {
  const gradientNorm = sumOfSquares(gradient).sqrt();
  const g = clipNorm === undefined ? gradient : gradient.mul(tf.minimum(1, tf.div(clipNorm, gradientNorm.add(1e-6))));
  const firstMoment = old.firstMoment.mul(beta1).add(g.mul(1 - beta1));
  const secondMoment = old.secondMoment.mul(beta2).add(g.square().mul(1 - beta2));
  const direction = firstMoment.div(scalars.correction1)
    .div(secondMoment.div(scalars.correction2).sqrt().add(epsilon));
  const kept = weightDecay === 0
    ? old.parameters
    : old.parameters.mul(tf.sub(1, scalars.learningRate.mul(weightDecay)));
  const parameters = kept.sub(direction.mul(scalars.learningRate));
  const ema = old.ema.add(parameters.sub(old.ema).mul(scalars.emaRate));
  return { vectors: { parameters, firstMoment, secondMoment, ema }, gradientNorm };
}

/** Summed in two levels: one long float32 sum loses digits on the embedded engine. */
function sumOfSquares(vector: Tensor): Tensor {
  const squares = vector.square();
  const width = 1024, rows = Math.floor(vector.size / width), rest = vector.size - rows * width;
  const tail = squares.slice([rows * width], [rest]).sum();
  return rows === 0 ? tail : squares.slice([0], [rows * width]).reshape([rows, width]).sum(1).sum().add(tail);
}
