import { type Attribute, AttributeKind, float64Type, mustCompile, setAttribute } from "./attributes.ts";
import { cString, type TensorFlow } from "./library.ts";

/** TensorFlow's numbers of element types, and their size in bytes: float64 for us, the others are those that tfjs knows. */
export const ElementType = {
  float32: 1,
  float64: 2,
  int32: 3,
  uint8: 4,
  string: 7,
  complex64: 8,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  resource: 20,
};
/** TensorFlow's name of the CPU. */
const processor = "/device:CPU:0";
const bytesPerElement: Readonly<Record<number, number>> = { 1: 4, 2: 8, 3: 4, 4: 1, 8: 8, 9: 8, 10: 1 };

/** A result of an operation: our number for its handle, its shape and element type. */
export interface TensorMetadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

/** Takes every call in the engine's place while a function is being recorded. Its numbers for tensors are negative. */
export interface Recorder {
  /** A name for a function within the one that is recorded. */
  nameWithin(): string;
  create(shape: readonly number[], dtype: number, values: ArrayLike<number>): number;
  /** @param shapes of the results, where TensorFlow cannot infer them */
  execute(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly number[],
    shapes?: readonly (readonly number[])[],
  ): TensorMetadata[];
  /** The operations that `record` executes are to wait for the tensor `id`, which is none of their inputs. */
  waiting<Result>(id: number, record: () => Result): Result;
  /** What is recorded holds something that says in which order it is computed. */
  keepOrder(): void;
  read(): never;
}

/**
 * What `NodeJSKernelBackend` of `@tensorflow/tfjs-node-gpu` asks of its compiled
 * addon (`TFJSBinding`), in TypeScript over `Deno.dlopen`, with a place for a
 * recorder: every kernel ends in `executeOp`, so listening there is tracing.
 */
export interface Binding {
  createTensor(shape: readonly number[], dtype: number, values: ArrayLike<number>): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Float64Array | Int32Array | Uint8Array | BigInt64Array;
  executeOp(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly number[],
    outputs: number,
  ): TensorMetadata[];
  /**
   * The same on another thread: meanwhile JavaScript goes on, and may execute
   * other operations. Inputs may be deleted at once. Never while recording.
   */
  executeAside(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly number[],
    outputs: number,
  ): Promise<TensorMetadata[]>;
  getNumOfTensors(): number;
  isUsingGpuDevice(): boolean;
  recorder: Recorder | undefined;
  [constant: string]: unknown;
}

/** A `TF_Tensor` holding `values`; the caller deletes it. */
export function newTensor(
  tf: TensorFlow,
  shape: readonly number[],
  dtype: number,
  values: ArrayLike<number>,
): Deno.PointerValue {
  const elementBytes = bytesPerElement[dtype];
  if (elementBytes === undefined) throw new Error(`Cannot make a tensor of element type ${dtype}`);
  const bytes = shape.reduce((product, n) => product * n, elementBytes);
  const tensor = tf.c.TF_AllocateTensor(dtype, new BigInt64Array(shape.map(BigInt)), shape.length, BigInt(bytes));
  if (bytes === 0) return tensor;
  const data = Deno.UnsafePointerView.getArrayBuffer(tf.c.TF_TensorData(tensor)!, bytes);
  if (dtype === ElementType.int64) {
    // tfjs hands a 64-bit scalar over as its low and high words.
    new BigInt64Array(data)[0] = (BigInt(values[1]! | 0) << 32n) | BigInt(values[0]! >>> 0);
  } else if (dtype === ElementType.float64) new Float64Array(data).set(values);
  else if (dtype === ElementType.int32) new Int32Array(data).set(values);
  else if (dtype === ElementType.bool || dtype === ElementType.uint8) new Uint8Array(data).set(values);
  else new Float32Array(data).set(values);
  return tensor;
}

/** The binding over an open TensorFlow. */
export function createBinding(tf: TensorFlow): Binding {
  const { c, status, context, check } = tf;
  const handles = new Map<number, Deno.PointerValue>();
  const outputHandles = new BigUint64Array(1024);
  const outputCount = new Int32Array(1);
  let nextId = 1;
  const keep = (handle: Deno.PointerValue) => {
    handles.set(nextId, handle);
    return nextId++;
  };
  const describe = (handle: Deno.PointerValue): TensorMetadata => {
    const rank = c.TFE_TensorHandleNumDims(handle, status);
    const shape = Array.from({ length: rank }, (_, axis) => Number(c.TFE_TensorHandleDim(handle, axis, status)));
    check("Reading a shape");
    return { id: keep(handle), shape, dtype: c.TFE_TensorHandleDataType(handle) };
  };

  const newOperation = (name: string, attributes: readonly Attribute[], inputs: readonly number[]) => {
    const op = c.TFE_NewOp(context, cString(name), status);
    check(name);
    for (const id of inputs) c.TFE_OpAddInput(op, handles.get(id)!, status);
    for (const attribute of attributes) setAttribute(tf, "eager", op, attribute);
    // What is compiled is compiled for one device, and without a word for the CPU.
    if (tf.gpu !== undefined && attributes.includes(mustCompile)) c.TFE_OpSetDevice(op, cString(tf.gpu), status);
    // Most GPUs are slow at float64, and for eigenvalues they want one more library.
    if (tf.gpu !== undefined && attributes.includes(float64Type)) c.TFE_OpSetDevice(op, cString(processor), status);
    return op;
  };
  const results = (made: BigUint64Array, count: number) =>
    Array.from({ length: count }, (_, i) => describe(Deno.UnsafePointer.create(made[i]!)));

  const binding: Binding = {
    ...constants(tf),
    recorder: undefined,
    createTensor(shape, dtype, values) {
      if (binding.recorder) return binding.recorder.create(shape, dtype, values);
      const tensor = newTensor(tf, shape, dtype, values);
      const id = keep(c.TFE_NewTensorHandle(tensor, status));
      c.TF_DeleteTensor(tensor);
      check("Making a tensor");
      return id;
    },
    deleteTensor(id) {
      c.TFE_DeleteTensorHandle(handles.get(id)!);
      handles.delete(id);
    },
    tensorDataSync(id) {
      binding.recorder?.read();
      const handle = handles.get(id)!;
      const dtype = c.TFE_TensorHandleDataType(handle);
      const tensor = c.TFE_TensorHandleResolve(handle, status);
      check("Reading a tensor");
      const bytes = Number(c.TF_TensorByteSize(tensor));
      const copy = bytes === 0
        ? new ArrayBuffer(0)
        : Deno.UnsafePointerView.getArrayBuffer(c.TF_TensorData(tensor)!, bytes).slice(0);
      c.TF_DeleteTensor(tensor);
      if (dtype === ElementType.float32) return new Float32Array(copy);
      if (dtype === ElementType.float64) return new Float64Array(copy);
      if (dtype === ElementType.int32) return new Int32Array(copy);
      return dtype === ElementType.int64 ? new BigInt64Array(copy) : new Uint8Array(copy);
    },
    executeOp(name, attributes, inputs, outputs) {
      if (binding.recorder) return binding.recorder.execute(name, attributes, inputs);
      const op = newOperation(name, attributes, inputs);
      outputCount[0] = outputs;
      c.TFE_Execute(op, outputHandles, outputCount, status);
      c.TFE_DeleteOp(op);
      check(name);
      return results(outputHandles, outputCount[0]!);
    },
    async executeAside(name, attributes, inputs, outputs) {
      const op = newOperation(name, attributes, inputs), ownStatus = c.TF_NewStatus();
      const ownHandles = new BigUint64Array(outputs), ownCount = new Int32Array([outputs]);
      try {
        await c.TFE_ExecuteAside(op, ownHandles, ownCount, ownStatus);
        check(name, ownStatus);
      } finally {
        c.TFE_DeleteOp(op);
        c.TF_DeleteStatus(ownStatus);
      }
      return results(ownHandles, ownCount[0]!);
    },
    getNumOfTensors: () => handles.size,
    isUsingGpuDevice: () => tf.gpu !== undefined,
  };
  return binding;
}

/** The names and numbers that the addon exports beside its functions. */
function constants(tf: TensorFlow) {
  return {
    TensorMetadata: function () {},
    TFEOpAttr: function () {},
    TF_FLOAT: ElementType.float32,
    TF_INT32: ElementType.int32,
    TF_INT64: ElementType.int64,
    TF_BOOL: ElementType.bool,
    TF_COMPLEX64: ElementType.complex64,
    TF_STRING: ElementType.string,
    TF_RESOURCE: ElementType.resource,
    TF_UINT8: ElementType.uint8,
    TF_ATTR_STRING: AttributeKind.string,
    TF_ATTR_INT: AttributeKind.int,
    TF_ATTR_FLOAT: AttributeKind.float,
    TF_ATTR_BOOL: AttributeKind.bool,
    TF_ATTR_TYPE: AttributeKind.type,
    TF_ATTR_SHAPE: AttributeKind.shape,
    TF_ATTR_RESOURCE: AttributeKind.resource,
    TF_Version: tf.version,
    getNumOfSavedModels: () => 0,
  };
}
