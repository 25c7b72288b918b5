import { type Attribute, AttributeKind } from "./attributes.ts";
import { ElementType, type TensorMetadata } from "./binding.ts";
import { defineFunction, type Tape, type TapeConstant, type TapeOperation } from "./graph.ts";
import { type NativeEngine, nativeEngine } from "./native.ts";
import { type Tensor, type Tensors, tf } from "./tf.ts";

/** A traced function: tensors by name in, tensors by name out. The caller owns both. */
export type Traced<Inputs extends Tensors, Outputs extends Tensors> = (inputs: Inputs) => Outputs;

/** How a function is run on the native engine. */
export interface TraceOptions {
  /**
   * Compile it with XLA, which joins element-wise operations: faster for training
   * steps, at some seconds of compilation per signature. Default false.
   */
  readonly compile?: boolean;
}

/** How traced functions run instead of as their code says. */
export type Execution = "eager" | "compiled";
let forced: Execution | undefined;

/**
 * Runs every traced function operation by operation (`eager`), or compiled with
 * XLA (`compiled`), from here on, so that the ways can be timed against each
 * other; `undefined` ends that. The embedded engine is always eager.
 */
export function forceExecution(execution: Execution | undefined): void {
  forced = execution;
}

/**
 * Makes `body` one call of the engine. On the native engine it is recorded once
 * per signature of input shapes and types, by listening to an eager run, and
 * from then on (the first call included, so that every call gives the same
 * numbers) replayed as one TensorFlow function; on the embedded engine it runs
 * eagerly. `body` must be a pure function of `inputs`: everything that changes
 * between calls (parameters, randomness, step sizes) comes in as a tensor, and
 * no value is read inside. Numbers in the code are fixed at the recording.
 *
 * @throws {Error} if `body` uses a tensor from outside or reads a value.
 */
export function trace<Inputs extends Tensors, Outputs extends Tensors>(
  name: string,
  body: (inputs: Inputs) => Outputs,
  options: TraceOptions = {},
): Traced<Inputs, Outputs> {
  const recorded = new Map<string, Recording>();
  return (inputs) => {
    const native = nativeEngine();
    if (!native || forced === "eager") return tidyAll(() => body(inputs));
    const compile = options.compile || forced === "compiled";
    const names = Object.keys(inputs);
    const shapes = names.map((key) => `${key}:${inputs[key]!.dtype}[${inputs[key]!.shape}]`);
    const signature = [...shapes, compile ? "compiled" : ""].join(" ");
    let recording = recorded.get(signature);
    if (!recording) recorded.set(signature, recording = record(native, name, inputs, body, { compile }));
    return replay(native, recording, names.map((key) => inputs[key]!)) as Outputs;
  };
}

/** A function that TensorFlow knows, and the names of its results. */
interface Recording {
  readonly functionName: string;
  readonly results: readonly string[];
  readonly attributes: readonly Attribute[];
}
let recordings = 0;
const mustCompile: Attribute = { name: "_XlaMustCompile", type: AttributeKind.bool, value: true };

function replay(
  native: NativeEngine,
  { functionName, results, attributes }: Recording,
  inputs: readonly Tensor[],
): Tensors {
  const { binding, backend } = native;
  const metadata = binding.executeOp(functionName, attributes, backend.getInputTensorIds(inputs), results.length);
  return Object.fromEntries(results.map((key, i) => [key, backend.createOutputTensor(metadata[i]!)]));
}

function record<Inputs extends Tensors, Outputs extends Tensors>(
  native: NativeEngine,
  name: string,
  inputs: Inputs,
  body: (inputs: Inputs) => Outputs,
  options: TraceOptions,
): Recording {
  const { binding, backend, tensorFlow } = native;
  // Copies give every input a tensor of its own, even where the same one was passed twice.
  const copies = tf.tidy(() =>
    Object.fromEntries(Object.entries(inputs).map(([key, x]) => [key, tf.keep(copyOf(native, x))]))
  ) as Inputs;
  const ids = backend.getInputTensorIds(Object.values(copies));
  const constants: TapeConstant[] = [];
  const operations: TapeOperation[] = [];
  const written = new WeakSet<object>();
  const restoreWrite = listenToWrites(native, written);
  binding.recorder = {
    created(id, shape, dtype, values) {
      // 64-bit scalars are made by the kernels themselves, past the backend.
      if (!written.has(values) && dtype !== ElementType.int64) {
        throw new Error(`Recording ${name}: a tensor came from outside; pass it in as an input`);
      }
      constants.push({ id, shape, dtype, values });
    },
    executed: (type, attributes: readonly Attribute[], inputIds, outputs: TensorMetadata[]) =>
      operations.push({ name: type, attributes, inputs: [...inputIds], outputs: outputs.map(({ id }) => id) }),
    reading() {
      throw new Error(`Recording ${name}: it reads the value of a tensor, which a recorded function cannot`);
    },
  };
  let tape: Tape;
  let results: string[];
  try {
    const outputs = tidyAll(() => body(copies));
    results = Object.keys(outputs);
    tape = {
      parameters: Object.values(copies).map((x, i) => ({ id: ids[i]!, dtype: elementType(x), shape: x.shape })),
      constants,
      operations,
      results: backend.getInputTensorIds(Object.values(outputs))
        .map((id, i) => ({ id, dtype: elementType(Object.values(outputs)[i]!) })),
    };
    binding.recorder = undefined;
    const inputSet = new Set<Tensor>(Object.values(copies));
    for (const x of Object.values(outputs)) if (!inputSet.has(x)) x.dispose();
  } finally {
    binding.recorder = undefined;
    restoreWrite();
    for (const x of Object.values(copies)) x.dispose();
  }
  const functionName = `nfm_${name.replace(/\W/g, "_")}_${recordings++}`;
  defineFunction(tensorFlow, functionName, tape);
  return { functionName, results, attributes: options.compile ? [mustCompile] : [] };
}

function copyOf(native: NativeEngine, x: Tensor): Tensor {
  const attributes = [{ name: "T", type: AttributeKind.type, value: elementType(x) }];
  return native.backend.executeSingleOutput("Identity", attributes, [x]);
}

/** Notes which values are written while recording: those alone may become constants. */
function listenToWrites({ backend }: NativeEngine, written: WeakSet<object>): () => void {
  const hooks = backend as unknown as { move: (...args: unknown[]) => unknown };
  const move = hooks.move;
  hooks.move = function (this: unknown, ...args: unknown[]) {
    if (typeof args[1] === "object" && args[1] !== null) written.add(args[1]);
    return move.apply(this, args);
  };
  return () => {
    hooks.move = move;
  };
}

function elementType(x: Tensor): number {
  return ElementType[x.dtype as keyof typeof ElementType];
}

function tidyAll<Outputs extends Tensors>(body: () => Outputs): Outputs {
  return tf.tidy(() => body() as unknown as { [name: string]: Tensor }) as unknown as Outputs;
}
