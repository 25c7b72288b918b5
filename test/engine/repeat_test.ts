import { assertEquals } from "@std/assert";
import { repeat, type Tensors, tf, trace } from "../../lib/engine/mod.ts";
import { notRecorded } from "../../lib/engine/trace.ts";
import { testOnEngines } from "../engines.ts";

/** x ← c·x + round and n ← n + 1, with a loop within: y ← y + 2·n three times. */
function rounds(count: number, { x, y, n, c }: Tensors): Tensors {
  return repeat(count, { x: x!, y: y!, n: n! }, { c: c! }, ({ x, y, n }, { c }, round) => {
    const inner = repeat(3, { y: y! }, { n: n! }, ({ y }, { n }) => ({ y: tf.add(y!, tf.mul(n!, 2)) }));
    return { n: tf.add(n!, 1), x: tf.add(tf.mul(x!, c!), tf.cast(round, "float32")), y: inner.y! };
  });
}

for (const how of ["not traced", "recorded", "compiled"]) {
  testOnEngines(`repeat() computes round after round, loops within loops, ${how}, and leaks nothing`, () => {
    const before = tf.memory().numTensors;
    const traced = trace("rounds", (given) => rounds(5, given), { compile: how === "compiled" });
    for (const first of [1, 2]) {
      const given = { x: tf.tensor1d([first, 3]), y: tf.scalar(0), n: tf.scalar(first), c: tf.scalar(2) };
      const found = how === "not traced" ? tf.tidy(() => ({ ...rounds(5, given) })) : traced(given);
      let [x, y, n] = [[first, 3], 0, first];
      for (let round = 0; round < 5; round++) [x, y, n] = [x.map((value) => 2 * value + round), y + 6 * n, n + 1];
      assertEquals([...found.x!.dataSync()], x);
      assertEquals([...found.y!.dataSync(), ...found.n!.dataSync()], [y, n]);
      assertEquals([...given.x.dataSync(), ...given.n.dataSync()], [first, 3, first], "inputs stay as they are");
      tf.dispose([given, found]);
    }
    assertEquals(tf.memory().numTensors, before);
  });
}

testOnEngines("a loop whose body uses a tensor from outside runs round by round", () => {
  const { c, x } = { c: tf.scalar(2), x: tf.ones([2]) };
  const leaky = trace("leaky loop", ({ x }: Tensors) => repeat(3, { x: x! }, {}, ({ x }) => ({ x: tf.mul(x!, c) })));
  for (let call = 0; call < 2; call++) assertEquals([...leaky({ x }).x!.dataSync()], [8, 8]);
  notRecorded.clear();
});
