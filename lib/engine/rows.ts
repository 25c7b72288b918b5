import { AttributeKind } from "./attributes.ts";
import { ElementType } from "./binding.ts";
import { nativeEngine } from "./native.ts";
import { type Tensor, tf } from "./tf.ts";

/**
 * `x` with `values` in the place of some of its rows. The native engine writes
 * into `x`, whose old value is lost: nothing may read `x` itself afterwards. The
 * embedded engine copies it.
 *
 * @param x `[size, width]`
 * @param rows `[count]` int32, all different
 * @param values `[count, width]`
 */
export function writeRows(x: Tensor, rows: Tensor, values: Tensor): Tensor {
  const native = nativeEngine();
  if (!native) return tf.tensorScatterUpdate(x, rows.reshape([-1, 1]), values);
  const attributes = [{ name: "T", type: AttributeKind.type, value: ElementType.float32 }];
  return native.backend.executeSingleOutput("InplaceUpdate", attributes, [x, rows, values]);
}
