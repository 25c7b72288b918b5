import { Problem } from "../core/problem.ts";
import { parameterCount, type ParameterSpec, sizeOf } from "../nn/parameters.ts";

/** Values of one tensor, row-major. */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type ReferenceTensors = ReadonlyMap<string, ReferenceTensor>;
/** The shapes of a file's tensors by name, from which the sizes of its model are read. */
export type ReferenceShapes = ReadonlyMap<string, readonly number[]>;

/** Where and how one parameter of ours stands in a reference's file. As it is, where nothing else is said. */
export interface ReferencePlace {
  readonly name?: string;
  readonly shape?: readonly number[];
  /** The reference's values as ours. */
  readonly read?: (values: Float32Array) => Float32Array;
  /** The inverse of `read`. */
  readonly write?: (values: Float32Array) => Float32Array;
}

/** What a reference keeps beside its parameters although it never changes: a mask, a fixed embedding. */
export interface ReferenceConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: () => Float32Array;
}

/** A model of given sizes in the names and layouts of its reference. */
export interface ReferenceLayout {
  /** For the person: "SiT of depth 28 …". */
  readonly model: string;
  readonly specs: readonly ParameterSpec[];
  readonly placeOf: (spec: ParameterSpec) => ReferencePlace;
  readonly constants: readonly ReferenceConstant[];
  /** Tensors that belong to the training of the reference and not to the model. */
  readonly ignores?: (name: string) => boolean;
}

/** A model whose weights a reference published. */
export interface Reference {
  /** A tensor that every such model has: it tells where in a checkpoint the model lies. */
  readonly anchor: string;
  /**
   * The layout of a file, by its tensors' shapes. Names that it lacks are left
   * to `fromReference` to report.
   */
  readonly layoutOf: (shapes: ReferenceShapes, options?: ReferenceOptions) => ReferenceLayout;
}

/** What our weights do not say and a reference's file does. */
export interface ReferenceOptions {
  /** Side of the images or latents: SiT's file has its position embedding. */
  readonly size?: number;
  /** Whether SiT's file has the variance output, which nothing uses. */
  readonly learnSigma?: boolean;
}

/** How far a constant may lie from ours: the references compute theirs in float32. */
const constantTolerance = 1e-5;

/**
 * Our flat vector `[parameterCount]` from a reference's tensors.
 *
 * @param path what to call the file in errors
 * @throws {Problem} naming the first tensor that is missing, extra, of another shape, or a constant with other values
 */
export function fromReference(layout: ReferenceLayout, tensors: ReferenceTensors, path: string): Float32Array {
  const { model, specs, placeOf, constants, ignores = () => false } = layout;
  const fail = (sentence: string): never => {
    throw new Problem(`Cannot use ${path} as a ${model}: ${sentence}`);
  };
  const expected = new Set<string>();
  const find = (name: string, shape: readonly number[]) => {
    expected.add(name);
    const tensor = tensors.get(name);
    if (tensor && tensor.shape.join() !== shape.join()) {
      fail(`${name} has shape [${tensor.shape}] where [${shape}] was expected`);
    }
    return tensor?.data;
  };
  const flat = new Float32Array(parameterCount(specs));
  let offset = 0;
  for (const spec of specs) {
    const { name = spec.name, shape = spec.shape, read } = placeOf(spec);
    const values = find(name, shape) ?? fail(`it has no ${name}, of shape [${shape}]`);
    flat.set(read ? read(values) : values, offset);
    offset += sizeOf(spec.shape);
  }
  for (const { name, shape, values } of constants) {
    const stored = find(name, shape);
    const own = stored && values();
    if (own?.some((value, i) => !(Math.abs(value - stored![i]!) <= constantTolerance))) {
      fail(`${name} has other values than the fixed ones of this model`);
    }
  }
  for (const name of tensors.keys()) {
    if (!expected.has(name) && !ignores(name)) fail(`it holds ${name}, which this model does not have`);
  }
  return flat;
}

/**
 * A reference's tensors, in the order of our parameters and then its constants.
 *
 * @param flat `[parameterCount]`
 */
export function* toReference(
  { specs, placeOf, constants }: ReferenceLayout,
  flat: Float32Array,
): Generator<[name: string, tensor: ReferenceTensor]> {
  let offset = 0;
  for (const spec of specs) {
    const { name = spec.name, shape = spec.shape, write } = placeOf(spec);
    const values = flat.subarray(offset, offset += sizeOf(spec.shape));
    yield [name, { shape, data: write ? write(values) : values }];
  }
  for (const { name, shape, values } of constants) yield [name, { shape, data: values() }];
}

/** How many different numbers stand in the names at the place that `pattern` captures, for example of blocks. */
export function countOf(shapes: ReferenceShapes, pattern: RegExp): number {
  return new Set([...shapes.keys()].flatMap((name) => pattern.exec(name)?.[1] ?? [])).size;
}
