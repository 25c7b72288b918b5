import { typeAttribute } from "./attributes.ts";
import { ElementType } from "./binding.ts";
import { nativeEngine } from "./native.ts";
import { type Tensor, tf } from "./tf.ts";
import { isCompiling } from "./trace.ts";

/**
 * `x` with row `position` of each of its matrices replaced. The native engine
 * writes into `x`, whose old value is lost: nothing may read `x` itself
 * afterwards. A compiled function copies it once a call, the embedded engine
 * every time.
 *
 * @param x `[matrices, rows, width]`
 * @param values `[matrices, 1, width]`
 * @param position int32 scalar
 */
export function writeRow(x: Tensor, values: Tensor, position: Tensor): Tensor {
  const [matrices, rows, width] = x.shape as [number, number, number];
  const native = nativeEngine(), type = typeAttribute("T", ElementType.float32);
  if (native && isCompiling()) {
    const zero = tf.scalar(0, "int32"), corner = tf.stack([zero, position, zero]);
    const attributes = [type, typeAttribute("Tindices", ElementType.int32)];
    return native.backend.executeSingleOutput("XlaDynamicUpdateSlice", attributes, [x, values, corner]);
  }
  const firstRows = tf.tensor1d(Int32Array.from({ length: matrices }, (_, i) => i * rows), "int32");
  const places = tf.add(firstRows, position), replaced = values.reshape([matrices, width]);
  const flat = x.reshape([matrices * rows, width]);
  const written = native
    ? native.backend.executeSingleOutput("InplaceUpdate", [type], [flat, places, replaced])
    : tf.tensorScatterUpdate(flat, places.reshape([-1, 1]), replaced);
  return written.reshape(x.shape);
}
