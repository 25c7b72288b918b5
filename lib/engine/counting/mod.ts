import { type Tensor, type Tensors, tf } from "../tf.ts";
import { type Buffer, neededSteps, peakBytes, type Step, type Usage } from "./memory.ts";
import { kernels, type Shape } from "./shapes.ts";

/** A tensor of which only this is known. */
export interface TensorOutline {
  readonly shape: Shape;
  /** Default float32. */
  readonly dtype?: "float32" | "int32";
}

/** What a function takes to compute. */
export interface Work {
  /** Two for each multiply-add of the matrix products and convolutions that the results need; nothing for the rest. */
  readonly flops: number;
  /** The most that is in memory at once, inputs and results included; see `peakBytes`. */
  readonly peakBytes: number;
}

const backendName = "counting";

/**
 * Counts what `body` would compute and keep in memory, without computing: it
 * runs on a backend whose tensors have a shape and no values, so that the model
 * may be of any size and no engine need be there. As `trace` asks, `body` is pure
 * and reads no value. Uses tfjs alone: whatever else runs meanwhile must not.
 *
 * @throws {Error} if it uses an operation whose shape is not known, see `kernels`
 */
export async function countWork(
  inputs: Readonly<Record<string, TensorOutline>>,
  body: (inputs: Tensors) => Tensors,
): Promise<Work> {
  const before = tf.engine().backendName as string | undefined;
  const ledger = createLedger();
  tf.registerBackend(backendName, () => countingBackend(ledger), 0);
  registerKernels();
  await tf.setBackend(backendName);
  try {
    return tf.tidy(() => {
      const given = Object.fromEntries(
        Object.entries(inputs).map(([name, { shape, dtype = "float32" }]) => [name, outlined(ledger, shape, dtype)]),
      );
      const results = new Set(Object.values(body(given)).map(({ dataId }) => dataId));
      return workOf({ ...ledger, results }) as unknown as tf.TensorContainer;
    }) as unknown as Work;
  } finally {
    tf.removeBackend(backendName);
    if (before && before !== backendName) await tf.setBackend(before);
  }
}

function workOf(usage: Usage): Work {
  const flops = neededSteps(usage).reduce((sum, step) => sum + step.flops, 0);
  return { flops, peakBytes: peakBytes(usage) };
}

/** What has been done so far. */
interface Ledger {
  readonly steps: Step[];
  readonly bytes: Map<Buffer, number>;
  readonly lasting: Set<Buffer>;
}

const createLedger = (): Ledger => ({ steps: [], bytes: new Map(), lasting: new Set() });

function outlined(ledger: Ledger, shape: Shape, dtype: tf.DataType): Tensor {
  const dataId = newBuffer(ledger, shape, dtype);
  ledger.lasting.add(dataId);
  return tf.engine().makeTensorFromDataId(dataId, [...shape], dtype) as Tensor;
}

function newBuffer({ bytes }: Ledger, shape: Shape, dtype: tf.DataType): Buffer {
  const buffer = {};
  bytes.set(buffer, shape.reduce((product, n) => product * n, tf.util.bytesPerElement(dtype)));
  return buffer;
}

/** A backend whose tensors have no values. */
function countingBackend(ledger: Ledger): tf.KernelBackend & { readonly ledger: Ledger } {
  return Object.assign(new tf.KernelBackend(), {
    ledger,
    /** A number in the code, or a table that the code makes. */
    write(_values: unknown, shape: number[], dtype: tf.DataType): Buffer {
      const buffer = newBuffer(ledger, shape, dtype);
      ledger.lasting.add(buffer);
      return buffer;
    },
    readSync(): never {
      throw new Error("Counting: it reads the value of a tensor, and there are none");
    },
    move() {},
    disposeData: () => true,
    refCount: () => 1,
    incRef() {},
    numDataIds: () => 0,
    floatPrecision: () => 32 as const,
    epsilon: () => 1e-7,
    dispose() {},
  });
}

let registered = false;
function registerKernels(): void {
  if (registered) return;
  registered = true;
  for (const [kernelName, kernel] of Object.entries(kernels)) {
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs, backend }) => {
        const { ledger } = backend as ReturnType<typeof countingBackend>;
        const given = Object.values(inputs as Record<string, tf.TensorInfo | undefined>).filter((x) => x !== undefined);
        if (given.some(({ dataId }) => !ledger.bytes.has(dataId))) {
          throw new Error("Counting: a tensor came from outside; pass it in as an input");
        }
        const { shapes, dtype: type = 0, flops = 0, memory } = kernel(given.map(({ shape }) => shape), attrs ?? {});
        const dtype = typeof type === "number" ? given[type]!.dtype : type;
        const outputs = shapes.map((shape) => ({
          dataId: memory === "shares" ? given[0]!.dataId : newBuffer(ledger, shape, dtype),
          shape: [...shape],
          dtype,
        }));
        ledger.steps.push({
          flops,
          inputs: given.map(({ dataId }) => dataId),
          outputs: outputs.map(({ dataId }) => dataId),
          inPlace: memory === "inPlace",
        });
        return outputs.length === 1 ? outputs[0]! : outputs;
      },
    });
  }
}
