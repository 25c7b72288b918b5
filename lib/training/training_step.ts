import { atOnce, partsOf, type Tensor, type Tensors, tf, trace } from "../engine/mod.ts";
import { canonicalJson } from "../core/hash.ts";
import { Problem } from "../core/problem.ts";
import { unpack } from "../nn/parameters.ts";
import { applyAdamW, type OptimizerVectors, type StepScalars } from "./optimizer.ts";
import type { TrainerOptions } from "./trainer.ts";

/** What a step starts from besides its batch. */
type Inputs = OptimizerVectors & StepScalars<Tensor>;
/** The new vectors, and loss and norm of the gradient as `report` `[2]`: one value to wait for. */
type Outputs = OptimizerVectors & { readonly report: Tensor };
/** Loss and gradient of a batch, or summed over micro-batches so far, each by its share. */
type Sums = Readonly<Record<"gradient" | "meanLoss", Tensor>>;

type Step = (inputs: Inputs, batch: Tensors) => Promise<Outputs>;

/** What a step's arithmetic depends on besides the loss: where a default is written out, it is the same step. */
type StepOptions =
  & Required<Pick<TrainerOptions, "specs" | "optimizer" | "microBatches" | "compile">>
  & { readonly products: TrainerOptions["products"] };

const steps = new WeakMap<TrainerOptions["loss"], Map<string, Step>>();

/** One step's arithmetic, the same function for all trainers of one loss and options: it is recorded and compiled once. */
export function stepOf(
  { loss, specs, optimizer, products, microBatches = 1, compile = false }: TrainerOptions,
): Step {
  const options = { specs, optimizer, microBatches, products, compile }, key = canonicalJson(options);
  const own = steps.get(loss) ?? new Map<string, Step>(), step = own.get(key) ?? createStep(loss, options);
  steps.set(loss, own.set(key, step));
  return step;
}

/** One traced function; with micro-batches, one for each of them and one for the update. */
function createStep(
  loss: TrainerOptions["loss"],
  { specs, optimizer, microBatches, products, compile }: StepOptions,
): Step {
  /** `Sums` of equal parts of a batch, numbered. */
  const gradients = (parameters: Tensor, batch: Tensors): Tensors => {
    const parts = atOnce(
      partsOf(batch),
      { parameters },
      ({ parameters, ...rows }) => {
        const ofFlat = (flat: Tensor) => loss(unpack(flat, specs), batchOf(rows)) as ReturnType<typeof tf.scalar>;
        const { value, grad } = tf.valueAndGrad(ofFlat)(parameters);
        return { gradient: grad, meanLoss: value };
      },
    );
    return Object.fromEntries(parts.flatMap((part, i) => Object.entries(part).map(([key, x]) => [`${key}.${i}`, x])));
  };
  const options = { compile, products };
  const updateBy = (inputs: Inputs, { gradient, meanLoss }: Sums): Outputs => {
    const { vectors, gradientNorm } = applyAdamW(inputs, gradient, inputs, optimizer);
    return { ...vectors, report: tf.stack([meanLoss.reshape([]), gradientNorm.reshape([])]) };
  };
  const whole = trace<Inputs & Tensors, Outputs & Tensors>("training step", (inputs) => {
    const { batch, rest } = apart(inputs);
    const given = { ...rest, ...gradients(inputs.parameters, batch) } as Inputs & Tensors;
    return atOnce([given], {}, (given) => ({ ...updateBy(given, meansOf(given)) }))[0]!;
  }, options);
  const accumulate = trace<Sums & Tensors, Sums>("training micro-batch", (inputs) => {
    const { parameters, gradient, meanLoss } = inputs, { batch } = apart(inputs);
    return atOnce([{ gradient, meanLoss, ...gradients(parameters!, batch) }], {}, (given) => {
      const { gradient, meanLoss } = meansOf(given);
      return {
        gradient: given.gradient.add(gradient.div(microBatches)),
        meanLoss: given.meanLoss.add(meanLoss.div(microBatches)),
      };
    })[0]!;
  }, options);
  const update = trace<Inputs & Sums, Outputs & Tensors>(
    "training update",
    (inputs) => ({ ...updateBy(inputs, inputs) }),
    options,
  );
  return async (inputs, batch) => {
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

export const batchSizeOf = (batch: Tensors): number => Object.values(batch)[0]?.shape[0] ?? 0;

// The batch's own names may be any; a prefix keeps them apart from the state's.
const prefix = "batch_";
const asInputs = (batch: Tensors): Tensors =>
  Object.fromEntries(Object.entries(batch).map(([key, tensor]) => [prefix + key, tensor]));
const batchOf = (inputs: Tensors): Tensors =>
  Object.fromEntries(Object.entries(inputs).map(([key, tensor]) => [key.slice(prefix.length), tensor]));
/** The batch, by the names that `asInputs` gave it, and what else is there. */
const apart = (inputs: Tensors): { batch: Tensors; rest: Tensors } => {
  const entries = Object.entries(inputs), isOfBatch = ([key]: [string, Tensor]) => key.startsWith(prefix);
  return {
    batch: Object.fromEntries(entries.filter(isOfBatch)),
    rest: Object.fromEntries(entries.filter((entry) => !isOfBatch(entry))),
  };
};
