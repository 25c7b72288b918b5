import { type ProductType, productType, type Tensor, type Tensors, tf, trace, withProducts } from "../engine/mod.ts";
import { parameterCount, type Parameters, type ParameterSpec, unpack } from "../nn/parameters.ts";
import { Problem } from "../core/problem.ts";
import {
  applyAdamW,
  type OptimizerOptions,
  type OptimizerVectors,
  type StepScalars,
  stepScalars,
  type VectorName,
  vectorNames,
} from "./optimizer.ts";
import type { Schedule } from "./schedule.ts";

/** Everything that the next step depends on besides its batch. */
export interface TrainerState extends Readonly<Record<VectorName, Float32Array>> {
  /** Optimizer steps done. */
  readonly step: number;
  readonly samplesSeen: number;
}

export interface TrainerOptions {
  /** What is trained, for errors and traces: `teacher`, `student`. */
  readonly name: string;
  readonly specs: readonly ParameterSpec[];
  /** Starting values, `[parameterCount]`; the average starts there too. */
  readonly initial: Float32Array;
  /** The mean loss over a batch, a scalar. Pure: no values read, no randomness. */
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
  const run = createStep(options);
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

type Inputs = OptimizerVectors & StepScalars<Tensor>;
/** The new vectors, and loss and norm of the gradient as `report` `[2]`: one value to wait for. */
type Outputs = OptimizerVectors & { readonly report: Tensor };

/** One step's arithmetic: one traced function; with micro-batches, one for each of them and one for the update. */
function createStep({ name, specs, loss, optimizer, microBatches = 1, products, compile = false }: TrainerOptions) {
  const gradientOf = (parameters: Tensor, batch: Tensors) =>
    withProducts(
      products ?? productType(),
      () =>
        tf.valueAndGrad((flat: Tensor) => loss(unpack(flat, specs), batch) as ReturnType<typeof tf.scalar>)(parameters),
    );
  // What trace() cannot see is that products are in bfloat16 within, which XLA does not compute faster.
  const options = { compile: compile && products !== "bfloat16" };
  const updateBy = (inputs: Inputs, gradient: Tensor, meanLoss: Tensor): Outputs => {
    const { vectors, gradientNorm } = applyAdamW(inputs, gradient, inputs, optimizer);
    return { ...vectors, report: tf.stack([meanLoss.reshape([]), gradientNorm.reshape([])]) };
  };
  const whole = trace<Inputs & Tensors, Outputs>(`${name} step`, (inputs) => {
    const { value, grad } = gradientOf(inputs.parameters, batchOf(inputs));
    return updateBy(inputs, grad, value);
  }, options);
  const accumulate = trace<Sums & Tensors, Sums>(`${name} micro-batch`, (inputs) => {
    const { value, grad } = gradientOf(inputs.parameters!, batchOf(inputs));
    return {
      gradient: inputs.gradient.add(grad.div(microBatches)),
      meanLoss: inputs.meanLoss.add(value.div(microBatches)),
    };
  }, options);
  const update = trace<Inputs & Sums, Outputs>(
    `${name} update`,
    ({ gradient, meanLoss, ...inputs }) => updateBy(inputs, gradient, meanLoss),
    options,
  );
  return async (inputs: Inputs, batch: Tensors): Promise<Outputs> => {
    if (microBatches === 1) return await whole.aside({ ...inputs, ...asInputs(batch) });
    let sums: Sums = { gradient: tf.zerosLike(inputs.parameters), meanLoss: tf.scalar(0) };
    for (const slice of slicesOf(batch, microBatches)) {
      const next = await accumulate.aside({ parameters: inputs.parameters, ...sums, ...asInputs(slice) });
      tf.dispose([slice, sums]);
      sums = next;
    }
    const next = await update.aside({ ...inputs, ...sums });
    tf.dispose(sums);
    return next;
  };
}

/** Gradient and loss summed over the micro-batches so far, each by its share. */
type Sums = Readonly<Record<"gradient" | "meanLoss", Tensor>>;

function* slicesOf(batch: Tensors, count: number): Generator<Tensors> {
  const length = batchSizeOf(batch) / count;
  if (!Number.isInteger(length)) {
    throw new Problem(`Cannot split a batch of ${length * count} into ${count} equal micro-batches: choose a divisor`);
  }
  for (let i = 0; i < count; i++) yield mapRecord(batch, (tensor) => tensor.slice([i * length], [length]));
}

// The batch's own names may be any; a prefix keeps them apart from the state's.
const prefix = "batch_";
const asInputs = (batch: Tensors): Tensors =>
  Object.fromEntries(Object.entries(batch).map(([key, tensor]) => [prefix + key, tensor]));
const batchOf = (inputs: Tensors): Tensors =>
  Object.fromEntries(
    Object.entries(inputs).filter(([key]) => key.startsWith(prefix)).map(([key, t]) => [key.slice(prefix.length), t]),
  );
const batchSizeOf = (batch: Tensors): number => Object.values(batch)[0]?.shape[0] ?? 0;

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
