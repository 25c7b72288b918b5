import { Problem } from "../core/problem.ts";
import { parameterCount, type ParameterSpec, sizeOf } from "../nn/parameters.ts";
import { type ReadOptions, readSafetensors, type StoredTensor, writeSafetensors } from "./safetensors.ts";

/** A model's parameters, read from a file. */
export interface Weights {
  /** `[parameterCount]`, in the order of the specs. */
  readonly flat: Float32Array;
  /** What the writer noted: the step, the recipe … */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Writes a flat vector as named tensors, in the reference's own names and layout.
 *
 * @throws {Problem} exit code 74 when the disk refuses.
 */
export async function writeWeights(
  path: string,
  specs: readonly ParameterSpec[],
  flat: Float32Array,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeSafetensors(path, namedTensors(specs, flat), metadata);
}

/**
 * Reads the weights of a model.
 *
 * @throws {Problem} when the file is missing, damaged, or holds another model, naming the first difference.
 */
export async function readWeights(
  path: string,
  specs: readonly ParameterSpec[],
  options: ReadOptions = {},
): Promise<Weights> {
  const { tensors, metadata } = await readSafetensors(path, options);
  const flat = flatVector(specs, tensors, path);
  if (tensors.size !== specs.length) {
    const known = new Set(specs.map(({ name }) => name));
    const extra = [...tensors.keys()].find((name) => !known.has(name));
    throw new Problem(`Cannot use ${path}: it holds ${extra}, which this model does not have`);
  }
  return { flat, metadata };
}

/** The parts of a flat vector `[parameterCount]` with their names; they share its memory. */
export function* namedTensors(
  specs: readonly ParameterSpec[],
  flat: Float32Array,
  prefix = "",
): Generator<[string, StoredTensor]> {
  let offset = 0;
  for (const { name, shape } of specs) {
    yield [prefix + name, { shape, data: flat.subarray(offset, offset += sizeOf(shape)) }];
  }
}

/**
 * The flat vector `[parameterCount]` from named tensors.
 *
 * @throws {Problem} naming the tensor that is missing or of another shape.
 */
export function flatVector(
  specs: readonly ParameterSpec[],
  tensors: ReadonlyMap<string, StoredTensor>,
  path: string,
  prefix = "",
): Float32Array {
  const flat = new Float32Array(parameterCount(specs));
  let offset = 0;
  for (const { name, shape } of specs) {
    const stored = tensors.get(prefix + name);
    if (!stored) throw new Problem(`Cannot use ${path}: it has no ${prefix + name}, so it is of another model`);
    if (stored.shape.join() !== shape.join()) {
      const shapes = `[${stored.shape}] where this model has [${shape}]`;
      throw new Problem(`Cannot use ${path}: ${prefix + name} has shape ${shapes}`);
    }
    flat.set(stored.data, offset);
    offset += stored.data.length;
  }
  return flat;
}
