import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import type { VelocityModel } from "../../lib/models/types.ts";
import { unguided, withGuidance } from "../../lib/sampling/guidance.ts";

await openEngine("wasm");
const x = tf.tensor(createRng(3).normal(3 * 4 * 4), [3, 4, 2, 2]);
const t = tf.tensor1d([0.2, 0.5, 1]), labels = tf.tensor1d([0, 4, 2], "int32");

/** v = (c + 3)·x + t, so ∅ = −1 gives 2x + t. */
const model: VelocityModel = {
  velocity: (x, t, c) => x.mul(c.toFloat().add(3).reshape([-1, 1, 1, 1])).add(t.reshape([-1, 1, 1, 1])),
};

Deno.test("withGuidance() is v_u + w(v_c − v_u) on all channels, in one pass", () => {
  for (const weight of [0, 0.5, 1, 1.7, 4]) {
    let calls = 0;
    const field = withGuidance({ velocity: (...inputs) => (calls++, model.velocity(...inputs)) }, weight);
    const guided = field.velocity(x, t, labels).dataSync();
    assertEquals(calls, 1);
    const [points, times, classes] = [x.dataSync(), t.dataSync(), labels.dataSync()];
    guided.forEach((v, i) => {
      const row = Math.floor(i / 16);
      const expected = points[i]! * (2 + weight * (classes[row]! + 1)) + times[row]!;
      assertAlmostEquals(v, expected, 1e-5);
    });
  }
});

Deno.test("withGuidance() at weight 1 is the conditional field itself, at its cost", () => {
  const field = withGuidance(model, 1);
  assertEquals(field.velocity(x, t, labels).dataSync(), model.velocity(x, t, labels).dataSync());
  assertEquals([field.passesPerEvaluation, withGuidance(model, 1.01).passesPerEvaluation], [1, 2]);
  assertEquals(unguided(model).passesPerEvaluation, 1);
  assertThrows(() => withGuidance(model, NaN), Problem);
});

Deno.test("withGuidance() leaves no tensor behind but its answer", () => {
  const before = tf.memory().numTensors;
  withGuidance(model, 2).velocity(x, t, labels).dispose();
  assertEquals(tf.memory().numTensors, before);
});
