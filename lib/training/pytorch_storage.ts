/**
 * The values of a tensor as a PyTorch file holds them: a run of numbers of one
 * type, of which tensors are views.
 */

/** A type of number: its size in bytes, and its values as float32. */
export interface StorageType {
  readonly dtype: string;
  readonly itemSize: number;
  /** @throws {SyntaxError} for a value that float32 cannot hold */
  readonly toFloat32: (bytes: Uint8Array<ArrayBuffer>) => Float32Array;
}

/** What a pickle says about a storage that lies elsewhere in the file. */
export interface StorageReference {
  readonly key: string;
  readonly type: StorageType;
  /** In numbers, not bytes. */
  readonly length: number;
}

/** A view of a storage; offset and strides in numbers. */
export interface TensorReference {
  readonly storage: StorageReference;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

type Bytes = Uint8Array<ArrayBuffer>;

/** By the name of PyTorch's storage class. */
export const storageTypes: Readonly<Record<string, StorageType>> = {
  FloatStorage: { dtype: "float32", itemSize: 4, toFloat32: ({ buffer }) => new Float32Array(buffer) },
  DoubleStorage: { dtype: "float64", itemSize: 8, toFloat32: fromFloat64 },
  HalfStorage: { dtype: "float16", itemSize: 2, toFloat32: ({ buffer }) => new Float32Array(new Float16Array(buffer)) },
  BFloat16Storage: { dtype: "bfloat16", itemSize: 2, toFloat32: fromBfloat16 },
  LongStorage: { dtype: "int64", itemSize: 8, toFloat32: fromInt64 },
  IntStorage: { dtype: "int32", itemSize: 4, toFloat32: ({ buffer }) => exactly(new Int32Array(buffer)) },
  ShortStorage: { dtype: "int16", itemSize: 2, toFloat32: ({ buffer }) => new Float32Array(new Int16Array(buffer)) },
  CharStorage: { dtype: "int8", itemSize: 1, toFloat32: ({ buffer }) => new Float32Array(new Int8Array(buffer)) },
  ByteStorage: { dtype: "uint8", itemSize: 1, toFloat32: (bytes) => new Float32Array(bytes) },
  BoolStorage: { dtype: "bool", itemSize: 1, toFloat32: (bytes) => new Float32Array(bytes) },
};

/** The values of a view in row-major order; where they lie so already, they share the storage's memory. */
export function contiguous(values: Float32Array, { offset, shape, strides }: TensorReference): Float32Array {
  const size = shape.reduce((product, n) => product * n, 1);
  let expected = 1;
  let dense = true;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    dense &&= shape[axis] === 1 || strides[axis] === expected;
    expected *= shape[axis]!;
  }
  if (dense || size === 0) return values.subarray(offset, offset + size);
  const result = new Float32Array(size);
  const index = shape.map(() => 0);
  for (let i = 0, from = offset; i < size; i++) {
    result[i] = values[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

function fromFloat64({ buffer }: Bytes): Float32Array {
  const wide = new Float64Array(buffer), narrow = new Float32Array(wide);
  const lost = narrow.findIndex((value, i) => !Number.isFinite(value) && Number.isFinite(wide[i]!));
  if (lost >= 0) throw new SyntaxError(`holds ${wide[lost]}, which is too large for float32`);
  return narrow;
}

function fromBfloat16({ buffer }: Bytes): Float32Array {
  const bits = new Uint16Array(buffer), result = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) result[i] = bits[i]! << 16;
  return new Float32Array(result.buffer);
}

function fromInt64({ buffer }: Bytes): Float32Array {
  const whole = new BigInt64Array(buffer);
  const result = Float32Array.from({ length: whole.length }, (_, i) => Number(whole[i]!));
  const lost = result.findIndex((value, i) => BigInt(value) !== whole[i]);
  if (lost >= 0) throw new SyntaxError(`holds ${whole[lost]}, which float32 would round`);
  return result;
}

function exactly(whole: Int32Array): Float32Array {
  const result = new Float32Array(whole);
  const lost = result.findIndex((value, i) => value !== whole[i]);
  if (lost >= 0) throw new SyntaxError(`holds ${whole[lost]}, which float32 would round`);
  return result;
}
