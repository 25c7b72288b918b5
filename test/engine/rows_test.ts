import { assertEquals } from "@std/assert";
import { tf, trace, writeRows } from "../../lib/engine/mod.ts";
import { testOnEngines } from "../engines.ts";

testOnEngines("writeRows replaces rows, step after step of a recorded function, and leaks nothing", () => {
  const before = tf.memory().numTensors;
  const run = trace("write rows", ({ x, first, second, values }) => {
    const once = writeRows(x!, first!, values!);
    const read = tf.sum(once, 1);
    // What is written waits for what was read, so that the sum is that of before.
    const later = tf.add(tf.mul(values!, 2), tf.mul(tf.sum(read), 0));
    return { x: writeRows(once, second!, later), read };
  });
  for (let repeat = 0; repeat < 3; repeat++) {
    const x = tf.zeros([4, 2]), values = tf.tensor2d([[1, 2], [3, 4]]);
    const first = tf.tensor1d([2, 0], "int32"), second = tf.tensor1d([1, 0], "int32");
    const written = run({ x, first, second, values });
    assertEquals([...written.x!.dataSync()], [6, 8, 2, 4, 1, 2, 0, 0]);
    assertEquals([...written.read!.dataSync()], [7, 0, 3, 0]);
    tf.dispose([x, values, first, second, written.x!, written.read!]);
  }
  assertEquals(tf.memory().numTensors, before);
});
