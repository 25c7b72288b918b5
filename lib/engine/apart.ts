import { typeAttribute } from "./attributes.ts";
import { isCompiled } from "./compiling.ts";
import { nativeEngine } from "./native.ts";
import { elementType } from "./recording.ts";
import type { Tensor } from "./tf.ts";

/** `x`, with what makes it and what is made of it each computed as written: XLA joins or rewrites nothing across it. */
export function apart(x: Tensor): Tensor {
  const native = nativeEngine();
  if (!native || !isCompiled()) return x;
  return native.backend.executeSingleOutput("XlaOptimizationBarrier", [typeAttribute("T", [elementType(x)])], [x]);
}
