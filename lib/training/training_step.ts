import { atOnce, partsOf, repeat, type Tensor, type Tensors, tf, trace, writeRow } from "../engine/mod.ts";
import { canonicalJson } from "../core/hash.ts";
import { Problem } from "../core/problem.ts";
import { unpack, valueAndGradient } from "../nn/parameters.ts";
import { applyAdamW, type OptimizerVectors, scalarNames, type StepScalars } from "./optimizer.ts";
import { apart, asInputs, batchOf, batchSizeOf, filled, rowsAt, stacked } from "./step_inputs.ts";
import type { TrainerOptions } from "./trainer.ts";

/** What a step reads and replaces, and its `StepScalars`; of several steps a row for each. */
type State = OptimizerVectors & { readonly scalars: Tensor };
/** The new vectors, and loss and norm of the gradient of each step: one value to wait for. */
type Outputs = OptimizerVectors & { readonly report: Tensor };
/** Loss and gradient of a batch, or summed over micro-batches so far, each by its share. */
type Sums = Readonly<Record<"gradient" | "meanLoss", Tensor>>;

/**
 * As many steps as there are batches, at most `callSteps`, one after the other. What is given stays the caller's.
 *
 * @param scalars of each step
 */
type Steps = (
  vectors: OptimizerVectors,
  scalars: readonly StepScalars<number>[],
  batches: readonly Tensors[],
) => Promise<Outputs>;

/** What a step's arithmetic depends on besides the loss: where a default is written out, it is the same step. */
type StepOptions =
  & Required<Pick<TrainerOptions, "specs" | "optimizer" | "microBatches" | "callSteps" | "compile">>
  & { readonly products: TrainerOptions["products"] };

const known = new WeakMap<TrainerOptions["loss"], Map<string, Steps>>();

/** The steps' arithmetic, the same function for all trainers of one loss and options: it is recorded and compiled once. */
export function stepsOf(
  { loss, specs, optimizer, products, microBatches = 1, callSteps = 1, compile = false }: TrainerOptions,
): Steps {
  const options = { specs, optimizer, microBatches, callSteps, products, compile }, key = canonicalJson(options);
  const own = known.get(loss) ?? new Map<string, Steps>(), steps = own.get(key) ?? createSteps(loss, options);
  known.set(loss, own.set(key, steps));
  return steps;
}

/** One traced function, of one step or of a loop of them; with micro-batches, one for each of them and one for the update. */
function createSteps(
  loss: TrainerOptions["loss"],
  { specs, optimizer, microBatches, callSteps, products, compile }: StepOptions,
): Steps {
  const options = { compile, products };
  /** `Sums` of equal parts of a batch, numbered. */
  const gradients = (parameters: Tensor, batch: Tensors): Tensors => {
    const parts = atOnce(partsOf(batch), unpack(parameters, specs), (given) => {
      const rows = Object.fromEntries(Object.keys(batch).map((key) => [key, given[key]!]));
      const { value, gradient } = valueAndGradient((named) => loss(named, batchOf(rows)), given, specs);
      return { gradient, meanLoss: value };
    });
    return Object.fromEntries(parts.flatMap((part, i) => Object.entries(part).map(([key, x]) => [`${key}.${i}`, x])));
  };
  const updateBy = (state: State, { gradient, meanLoss }: Sums): Outputs => {
    const { vectors, gradientNorm } = applyAdamW(state, gradient, scalarsOf(state.scalars), optimizer);
    return { ...vectors, report: tf.stack([meanLoss.reshape([]), gradientNorm.reshape([])]) };
  };
  const one = (state: State, batch: Tensors): Outputs => {
    const given = { ...state, ...gradients(state.parameters, batch) };
    return atOnce([given], {}, (given) => ({ ...updateBy(given, meansOf(given)) }))[0]!;
  };
  const steps = trace<State & Tensors, Outputs & Tensors>("training step", ({ count, ...inputs }) => {
    const { batches, rest: { scalars, ...vectors } } = apart(inputs);
    if (callSteps === 1) return { ...one({ ...vectors, scalars } as State, batches) };
    const rows = { ...stacked(batches, callSteps), scalars: scalars! };
    return repeat(count!, { ...vectors, report: tf.zeros([1, callSteps, 2]) }, rows, (state, rows, round) => {
      const { report, ...vectors } = state, { batches, rest } = apart(rowsAt(rows, round));
      const next = one({ ...vectors, ...rest } as State, batches);
      return { ...next, report: writeRow(report!, next.report.reshape([1, 1, 2]), round) };
    }) as Outputs & Tensors;
  }, options);
  const accumulate = trace<Sums & Tensors, Sums>("training micro-batch", (inputs) => {
    const { batches, rest: { parameters, gradient, meanLoss } } = apart(inputs);
    return atOnce(
      [{ gradient: gradient!, meanLoss: meanLoss!, ...gradients(parameters!, batches) }],
      {},
      (given) => {
        const { gradient, meanLoss } = meansOf(given);
        return {
          gradient: given.gradient.add(gradient.div(microBatches)),
          meanLoss: given.meanLoss.add(meanLoss.div(microBatches)),
        };
      },
    )[0]!;
  }, options);
  const update = trace<State & Sums & Tensors, Outputs & Tensors>(
    "training update",
    (inputs) => ({ ...updateBy(inputs, inputs) }),
    options,
  );
  const ofMicroBatches = async (state: State, [batch]: readonly Tensors[]) => {
    let sums: Sums = { gradient: tf.zerosLike(state.parameters), meanLoss: tf.scalar(0) };
    for (const slice of slicesOf(batch!, microBatches)) {
      const next = await accumulate.aside({ parameters: state.parameters, ...sums, ...asInputs([slice]) });
      tf.dispose([slice, sums]);
      sums = next;
    }
    const made = await update.aside({ ...state, ...sums });
    tf.dispose(sums);
    return made;
  };
  const ofBatches = async (state: State, batches: readonly Tensors[]) => {
    const count = tf.scalar(batches.length, "int32");
    const made = await steps.aside({ ...state, count, ...asInputs(batches, callSteps) });
    count.dispose();
    return made;
  };
  return async (vectors, scalars, batches) => {
    const rows = scalars.map((ofStep) => scalarNames.map((name) => ofStep[name]));
    const state = { ...vectors, scalars: tf.tensor2d(filled(rows, callSteps)) };
    const made = await (microBatches === 1 ? ofBatches : ofMicroBatches)(state, batches);
    state.scalars.dispose();
    return made;
  };
}

/** The values of a step, from its row. */
function scalarsOf(row: Tensor): StepScalars<Tensor> {
  const values = tf.unstack(row.reshape([scalarNames.length]));
  return Object.fromEntries(scalarNames.map((name, i) => [name, values[i]!])) as StepScalars<Tensor>;
}

/** The means of numbered `Sums`. */
function meansOf(inputs: Tensors): Sums {
  const mean = (name: keyof Sums) => {
    const parts = Object.keys(inputs).filter((key) => key.startsWith(`${name}.`)).map((key) => inputs[key]!);
    return parts.length === 1 ? parts[0]! : tf.div(parts.reduce((sum, part) => tf.add(sum, part)), parts.length);
  };
  return { gradient: mean("gradient"), meanLoss: mean("meanLoss") };
}

function* slicesOf(batch: Tensors, count: number): Generator<Tensors> {
  const length = batchSizeOf(batch) / count;
  if (!Number.isInteger(length)) {
    throw new Problem(`Cannot split a batch of ${length * count} into ${count} equal micro-batches: choose a divisor`);
  }
  for (let i = 0; i < count; i++) {
    yield Object.fromEntries(Object.entries(batch).map(([key, x]) => [key, x.slice([i * length], [length])]));
  }
}
