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
import { batchSizeOf } from "./step_inputs.ts";
import { stepsOf } from "./training_step.ts";

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
  /**
   * Steps that one call of the engine can take, one after the other, so that what comes between calls is paid less
   * often: the same numbers. What is recorded then holds a loop. Without micro-batches only. Default 1.
   */
  readonly callSteps?: number;
  /** What factors of the loss's matrix products and of its gradient's are read in; the update is float32. Default: as all around. */
  readonly products?: ProductType;
  /** Compile the step where `trace` does: for models of matrix products; convolutions are faster without. Default false. */
  readonly compile?: boolean;
}

/** What a step found, before its update. */
export interface StepReport {
  /** The mean over the batch. */
  readonly loss: number;
  /** Global L2 norm, before clipping. */
  readonly gradientNorm: number;
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
  train(batch: Tensors): Promise<StepReport>;
  /** Steps that `trainEach` is best given now: what took some 50 ms, by the call before; at most `callSteps`. */
  readonly stepsAtOnce: number;
  /**
   * `train` for each of at least one and at most `callSteps` batches, in one call of the engine.
   *
   * @returns the reports of the steps that were done, and where they are fewer than the batches what `train` throws for
   * the next: the trainer is as before that one.
   */
  trainEach(
    batches: readonly Tensors[],
  ): Promise<{ readonly reports: readonly StepReport[]; readonly failure?: Problem }>;
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

/**
 * Steps that a call of a run can take: of a large model one, which takes as long as a call may be, and whose state a
 * loop would hold once more.
 */
export function callStepsOf(specs: readonly ParameterSpec[], microBatches: number): number {
  return microBatches === 1 && parameterCount(specs) < 1e8 ? 8 : 1;
}

/** A call longer than this would gain little more, and have whoever wants to stop a run wait. */
const callSeconds = 0.05;

/** A trainer at step 0. The caller disposes it. */
export function createTrainer(options: TrainerOptions): Trainer {
  const { name, specs, initial, optimizer, schedule, callSteps = 1 } = options;
  if (callSteps > 1 && (options.microBatches ?? 1) > 1) {
    throw new TypeError(`Cannot take ${callSteps} steps a call with ${options.microBatches} micro-batches`);
  }
  const run = stepsOf(options);
  const zeros = new Float32Array(initial.length);
  let step = 0, samplesSeen = 0, stepSeconds = Infinity;
  let vectors = upload({ parameters: initial, ema: initial, firstMoment: zeros, secondMoment: zeros }, specs);
  /** Takes the steps, and keeps what they make if all of them are sound: if not, none is done, and `sound` says how many are. */
  const attempt = async (batches: readonly Tensors[]) => {
    const scalars = batches.map((_, i) => stepScalars(optimizer, step + i, schedule(step + i)));
    const { report, ...next } = await run(vectors, scalars, batches);
    const values = await report.data<"float32">();
    report.dispose();
    const reports = batches.map((_, i) => ({ loss: values[2 * i]!, gradientNorm: values[2 * i + 1]! }));
    const bad = reports.findIndex(({ loss, gradientNorm }) => !Number.isFinite(loss) || !Number.isFinite(gradientNorm));
    if (bad >= 0) {
      tf.dispose(next);
      return { reports, sound: bad };
    }
    tf.dispose(vectors);
    vectors = next;
    step += batches.length;
    samplesSeen += batches.reduce((sum, batch) => sum + batchSizeOf(batch), 0);
    return { reports, sound: batches.length };
  };
  const trainEach: Trainer["trainEach"] = async (batches) => {
    const begun = performance.now();
    const { reports, sound } = await attempt(batches);
    stepSeconds = (performance.now() - begun) / 1000 / batches.length;
    if (sound === batches.length) return { reports };
    const before = sound === 0 ? { reports: [] } : await trainEach(batches.slice(0, sound));
    const { loss, gradientNorm } = reports[sound]!;
    const failure = new Problem(
      `Cannot go on training the ${name}: at step ${step + 1} the loss is ${loss} and the norm of its gradient ` +
        `${gradientNorm}; the weights of step ${step} are kept; try a lower learningRate or set clipNorm`,
      { exitCode: 70 },
    );
    return { failure, ...before };
  };
  return {
    name,
    specs,
    get step() {
      return step;
    },
    get samplesSeen() {
      return samplesSeen;
    },
    get stepsAtOnce() {
      return Math.max(1, Math.min(callSteps, Math.floor(callSeconds / stepSeconds)));
    },
    trainEach,
    async train(batch) {
      const { reports, failure } = await trainEach([batch]);
      if (failure) throw failure;
      return reports[0]!;
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
