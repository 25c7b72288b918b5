import { assertEquals } from "@std/assert";
import { tf, trace, writeRow } from "../../lib/engine/mod.ts";
import { testOnEngines } from "../engines.ts";

for (const compile of [false, true]) {
  const how = compile ? "compiled" : "recorded";
  testOnEngines(
    `writeRow replaces a row of every matrix, step after step of a ${how} function, and leaks nothing`,
    () => {
      const before = tf.memory().numTensors;
      const run = trace("write rows", ({ x, position, values }) => {
        const once = writeRow(x!, values!, position!);
        const read = tf.sum(once, 2);
        // What is written waits for what was read, so that the sum is that of before.
        const later = tf.add(tf.mul(values!, 2), tf.mul(tf.sum(read), 0));
        return { x: writeRow(once, later, tf.sub(position!, tf.scalar(1, "int32"))), read };
      }, { compile });
      for (const position of [2, 1, 2]) {
        const x = tf.zeros([2, 3, 2]), values = tf.tensor3d([[[1, 2]], [[3, 4]]]), at = tf.scalar(position, "int32");
        const written = run({ x, position: at, values });
        const expected = new Float32Array(12), sums = new Float32Array(6);
        [[1, 2], [3, 4]].forEach((row, i) => {
          expected.set(row, 6 * i + 2 * position);
          expected.set(row.map((value) => 2 * value), 6 * i + 2 * (position - 1));
          sums[3 * i + position] = row[0]! + row[1]!;
        });
        assertEquals(written.x!.dataSync(), expected);
        assertEquals(written.read!.dataSync(), sums);
        tf.dispose([x, values, at, written.x!, written.read!]);
      }
      assertEquals(tf.memory().numTensors, before);
    },
  );
}
