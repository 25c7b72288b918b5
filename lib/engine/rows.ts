import { typeAttribute } from "./attributes.ts";
import { ElementType } from "./binding.ts";
import { isCompiled } from "./compiling.ts";
import { nativeEngine } from "./native.ts";
import { type Tensor, tf } from "./tf.ts";

/**
 * `x` with row `position` of each of its matrices replaced. In place where `x`
 * is nobody else's, as what a round of `repeat` hands to the next is.
 *
 * @param x `[matrices, rows, width]`
 * @param values `[matrices, 1, width]`
 * @param position int32 scalar
 */
export function writeRow(x: Tensor, values: Tensor, position: Tensor): Tensor {
  const [matrices, rows, width] = x.shape as [number, number, number];
  const native = nativeEngine();
  // XLA knows the other operation too, but computes it element by element.
  if (native && isCompiled()) {
    const zero = tf.scalar(0, "int32"), corner = tf.stack([zero, position, zero]);
    const attributes = [typeAttribute("T", ElementType.float32), typeAttribute("Tindices", ElementType.int32)];
    return native.backend.executeSingleOutput("XlaDynamicUpdateSlice", attributes, [x, values, corner]);
  }
  const firstRows = tf.tensor1d(Int32Array.from({ length: matrices }, (_, i) => i * rows), "int32");
  const places = tf.add(firstRows, position).reshape([-1, 1]), flat = x.reshape([matrices * rows, width]);
  return tf.tensorScatterUpdate(flat, places, values.reshape([matrices, width])).reshape(x.shape);
}
