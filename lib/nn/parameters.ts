import { type Tensor, tf } from "../engine/mod.ts";
import type { Rng } from "../core/rng.ts";

/** How a parameter starts. */
export type Init =
  | { readonly kind: "zeros" }
  | { readonly kind: "ones" }
  | { readonly kind: "normal"; readonly std: number }
  | { readonly kind: "uniform"; readonly bound: number };

/** One named parameter, in the reference's own name and layout (Linear `[out, in]`, Conv `[out, in, kh, kw]`). */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Init;
}

/** Parameters by name. Models are pure functions of these. */
export type Parameters = Readonly<Record<string, Tensor>>;

/** The number of values in a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** The length of the flat vector that holds `specs`, in their order. */
export const parameterCount = (specs: readonly ParameterSpec[]): number =>
  specs.reduce((sum, spec) => sum + sizeOf(spec.shape), 0);

/**
 * The flat parameter vector `[parameterCount]` as named tensors. What is compiled takes these rather than the vector:
 * where it slices itself, the place of each slice is part of the code, and layers of one shape are compiled one by one.
 */
export function unpack(flat: Tensor, specs: readonly ParameterSpec[]): Parameters {
  let offset = 0;
  return Object.fromEntries(specs.map(({ name, shape }) => {
    const size = sizeOf(shape), part = tf.slice(flat, [offset], [size]).reshape([...shape]);
    offset += size;
    return [name, part];
  }));
}

/**
 * A scalar function of the parameters, and its gradient as the flat vector `[parameterCount]`, nought for those that it
 * does not use. Of `unpack` a gradient would cost a vector for each parameter.
 */
export function valueAndGradient(
  loss: (parameters: Parameters) => Tensor,
  parameters: Parameters,
  specs: readonly ParameterSpec[],
): { readonly value: Tensor; readonly gradient: Tensor } {
  const each = specs.map(({ name }) => parameters[name]!);
  const { value, grads } = tf.engine().gradients(() => loss(parameters), each);
  return { value, gradient: tf.concat(each.map((x, i) => (grads[i] ?? tf.zerosLike(x)).reshape([x.size]))) };
}

/** Starting values, `[parameterCount]`. Each parameter draws from its own stream, named after it. */
export function initialize(specs: readonly ParameterSpec[], rng: Rng): Float32Array {
  const flat = new Float32Array(parameterCount(specs));
  let offset = 0;
  for (const { name, shape, init } of specs) {
    const size = sizeOf(shape);
    const values = flat.subarray(offset, offset += size);
    if (init.kind === "ones") values.fill(1);
    if (init.kind === "normal") rng.fork(name).normal(size).forEach((x, i) => values[i] = x * init.std);
    if (init.kind === "uniform") rng.fork(name).uniform(size).forEach((u, i) => values[i] = (2 * u - 1) * init.bound);
  }
  return flat;
}

/** The parameters whose names begin with `prefix` and a point, by the rest of their names. */
export function within(params: Parameters, prefix: string): Parameters {
  const start = `${prefix}.`;
  return Object.fromEntries(
    Object.entries(params).filter(([name]) => name.startsWith(start)).map(([name, x]) => [name.slice(start.length), x]),
  );
}
