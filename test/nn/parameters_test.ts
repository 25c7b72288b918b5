import { assertEquals } from "@std/assert";
import { tf } from "../../lib/engine/mod.ts";
import { type ParameterSpec, unpack, valueAndGradient } from "../../lib/nn/parameters.ts";
import { testOnEngines } from "../engines.ts";

testOnEngines("valueAndGradient follows the order of the specs, with nought for what a loss leaves out", () => {
  tf.tidy(() => {
    const init = { kind: "zeros" } as const;
    // An object would have the name that is a number first.
    const specs: ParameterSpec[] = [
      { name: "weight", shape: [2, 2], init },
      { name: "unused", shape: [2], init },
      { name: "7", shape: [3], init },
    ];
    const params = unpack(tf.tensor1d([1, 2, 3, 4, 5, 6, 7, 8, 9]), specs);
    assertEquals([params.weight!.shape, [...params["7"]!.dataSync()]], [[2, 2], [7, 8, 9]]);
    const loss = ({ weight, 7: other }: typeof params) =>
      tf.add(tf.sum(tf.square(weight!)), tf.sum(tf.mul(other!, [1, 10, 100])));
    const { value, gradient } = valueAndGradient(loss, params, specs);
    assertEquals(value.dataSync()[0], 30 + 7 + 80 + 900);
    assertEquals([...gradient.dataSync()], [2, 4, 6, 8, 0, 0, 1, 10, 100]);
  });
});
