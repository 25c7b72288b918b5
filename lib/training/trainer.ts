import { type ProductType, type Tensor, type Tensors, tf } from "../engine/mod.ts";
import { parameterCount, type Parameters, type ParameterSpec } from "../nn/parameters.ts";
import { Problem } from "../core/problem.ts";
import {
  type OptimizerOptions,
  type OptimizerVectors,
  stepScalars,
  type VectorName,
  vectorNames,
} from "./optimizer.ts";
import type { Schedule } from "./schedule.ts";
import { batchSizeOf, stepOf } from "./training_step.ts";

/** Everything that the next step depends on besides its batch. */
export interface TrainerState extends Readonly<Record<VectorName, Float32Array>> {
  /** Optimizer steps done. */
  readonly step: number;
  readonly samplesSeen: number;
}

export interface TrainerOptions {
  /** What is trained, for errors: `teacher`, `student`. */
  readonly name: string;
  readonly specs: readonly ParameterSpec[];
  /** Starting values, `[parameterCount]`; the average starts there too. */
  readonly initial: Float32Array;
  /**
   * The mean loss over a batch, a scalar. Pure: no values read, no randomness. Trainers of the same function record
   * and compile their step once.
   */
  readonly loss: (parameters: Parameters, batch: Tensors) => Tensor;
  readonly optimizer: OptimizerOptions;
  readonly schedule: Schedule;
  /** Equal slices of a batch to run one after the other: less memory, the same result within rounding. Default 1. */
  readonly microBatches?: number;
  /** What factors of the loss's matrix products and of its gradient's are read in; the update is float32. Default: as all around. */
  readonly products?: ProductType;
  /** Compile the step where `trace` does: for models of matrix products; convolutions are faster without. Default false. */
  readonly compile?: boolean;
}

export interface Trainer {
  readonly name: string;
  readonly specs: readonly ParameterSpec[];
  /** Optimizer steps done. */
  readonly step: number;
  /** The sum of the batch sizes of these steps. */
  readonly samplesSeen: number;
  /**
   * One optimizer step. Reads the loss back at every step: on one machine the
   * next batch waits for it anyway, and a bad step is undone in time.
   *
   * @param batch tensors `[batch, …]`; they stay the caller's
   * @throws {Problem} exit code 70 when loss or gradient is not finite; the trainer then is as before the step.
   */
  train(batch: Tensors): Promise<{ readonly loss: number; readonly gradientNorm: number }>;
  /** The flat vector `[parameterCount]`, the trainer's own and valid until the next step. */
  parameters(): Tensor;
  /** The moving average of the parameters, as `parameters`. */
  ema(): Tensor;
  /** A copy of the state, off the engine. */
  snapshot(): Promise<TrainerState>;
  /** @throws {TypeError} when a vector has not `parameterCount` values. */
  restore(state: TrainerState): void;
  dispose(): void;
}

/** A trainer at step 0. The caller disposes it. */
export function createTrainer(options: TrainerOptions): Trainer {
  const { name, specs, initial, optimizer, schedule } = options;
  const run = stepOf(options);
  const zeros = new Float32Array(initial.length);
  let step = 0, samplesSeen = 0;
  let vectors = upload({ parameters: initial, ema: initial, firstMoment: zeros, secondMoment: zeros }, specs);
  return {
    name,
    specs,
    get step() {
      return step;
    },
    get samplesSeen() {
      return samplesSeen;
    },
    async train(batch) {
      const scalars = mapRecord(stepScalars(optimizer, step, schedule(step)), (value) => tf.scalar(value));
      const { report, ...next } = await run({ ...vectors, ...scalars }, batch);
      const [loss, gradientNorm] = [...await report.data<"float32">()] as [number, number];
      tf.dispose([scalars, report]);
      if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
        tf.dispose(next);
        throw new Problem(
          `Cannot go on training the ${name}: at step ${step + 1} the loss is ${loss} and the norm of its gradient ` +
            `${gradientNorm}; the weights of step ${step} are kept; try a lower learningRate or set clipNorm`,
          { exitCode: 70 },
        );
      }
      tf.dispose(vectors);
      vectors = next;
      step++;
      samplesSeen += batchSizeOf(batch);
      return { loss, gradientNorm };
    },
    parameters: () => vectors.parameters,
    ema: () => vectors.ema,
    async snapshot() {
      const { parameters, ema, firstMoment, secondMoment } = vectors;
      const read = async (vector: Tensor) => (await vector.data<"float32">()).slice();
      return {
        step,
        samplesSeen,
        parameters: await read(parameters),
        ema: await read(ema),
        firstMoment: await read(firstMoment),
        secondMoment: await read(secondMoment),
      };
    },
    restore(state) {
      const restored = upload(state, specs);
      tf.dispose(vectors);
      vectors = restored;
      ({ step, samplesSeen } = state);
    },
    dispose: () => tf.dispose(vectors),
  };
}

function mapRecord<Key extends string, From, To>(
  record: Readonly<Record<Key, From>>,
  map: (value: From) => To,
): Record<Key, To> {
  const entries = Object.entries(record) as [Key, From][];
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value)])) as Record<Key, To>;
}

function upload(values: Readonly<Record<VectorName, Float32Array>>, specs: readonly ParameterSpec[]): OptimizerVectors {
  const count = parameterCount(specs);
  for (const key of vectorNames) {
    if (values[key].length !== count) {
      throw new TypeError(`Cannot take ${values[key].length} values as ${key}: the specs name ${count}`);
    }
  }
  // Copied: an engine may keep the array it was given.
  const { parameters, ema, firstMoment, secondMoment } = values;
  return mapRecord({ parameters, ema, firstMoment, secondMoment }, (vector) => tf.tensor1d(vector.slice()));
}
