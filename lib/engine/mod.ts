/** The engine: native libtensorflow where it can be had, WebAssembly where it cannot. */
export { type Tensor, type Tensors, tf } from "./tf.ts";
export type { Engine, EngineChoice } from "./types.ts";
export { apart } from "./apart.ts";
export { type Float64Algebra, float64Algebra } from "./float64.ts";
export { openEngine } from "./open.ts";
export { atOnce, joined, partsOf, rowByRow } from "./parts.ts";
export { type ProductType, productType, productTypes, withProducts } from "./products.ts";
export { repeat } from "./repeat.ts";
export { writeRow } from "./rows.ts";
export { type Execution, forceExecution, trace, type Traced } from "./trace.ts";
