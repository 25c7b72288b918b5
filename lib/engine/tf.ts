/** The tfjs operations: the one place of the project that names the package. */
export * as tf from "@tensorflow/tfjs";
import type * as tfjs from "@tensorflow/tfjs";

/** A tensor of the engine in use. Whoever receives one disposes it, unless a `tidy` does. */
export type Tensor = tfjs.Tensor;
/** Tensors by name: what goes into and comes out of a traced function. */
export type Tensors = Readonly<Record<string, Tensor>>;
