import { Problem } from "../core/problem.ts";
import type { ReferenceLayout } from "../models/reference_layout.ts";
import { parameterCount, sizeOf } from "../nn/parameters.ts";
import type { StoredTensor } from "./safetensors.ts";
import { requireTensors } from "./tensor_file.ts";

/** How far a constant may lie from ours: the references compute theirs in float32. */
const constantTolerance = 1e-5;

/**
 * Our flat vector `[parameterCount]` from a reference's tensors.
 *
 * @param path what to call the file in errors
 * @throws {Problem} exit code 74: the first tensor that is missing, extra, of another shape, or a constant with other
 * values
 */
export function fromReference(
  { model, specs, placeOf, constants, ignores }: ReferenceLayout,
  tensors: ReadonlyMap<string, StoredTensor>,
  path: string,
): Float32Array {
  const places = specs.map((spec) => ({ name: spec.name, shape: spec.shape, ...placeOf(spec) }));
  const expected = [...places, ...constants.map(({ name, shape }) => ({ name, shape, optional: true }))];
  requireTensors(tensors, expected, { path, what: model, ...(ignores && { ignored: ignores }) });
  const flat = new Float32Array(parameterCount(specs));
  let offset = 0;
  for (const { name, read } of places) {
    const { data } = tensors.get(name)!, values = read ? read(data) : data;
    flat.set(values, offset);
    offset += values.length;
  }
  for (const { name, values } of constants) {
    const stored = tensors.get(name)?.data;
    if (!stored || values().every((value, i) => Math.abs(value - stored[i]!) <= constantTolerance)) continue;
    const fault = `its "${name}" has other values than the fixed ones of this model`;
    throw new Problem(`Cannot use ${path} as weights of ${model}: ${fault}`, { exitCode: 74 });
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
): Generator<[name: string, tensor: StoredTensor]> {
  let offset = 0;
  for (const spec of specs) {
    const { name = spec.name, shape = spec.shape, write } = placeOf(spec);
    const values = flat.subarray(offset, offset += sizeOf(spec.shape));
    yield [name, { shape, data: write ? write(values) : values }];
  }
  for (const { name, shape, values } of constants) yield [name, { shape, data: values() }];
}
