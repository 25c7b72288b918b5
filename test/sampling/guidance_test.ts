import { assertAlmostEquals, assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import { bindVelocity } from "../../lib/models/bind.ts";
import { sit } from "../../lib/models/sit.ts";
import type { VelocityModel } from "../../lib/models/types.ts";
import { parameterCount } from "../../lib/nn/parameters.ts";
import { unguided, withGuidance } from "../../lib/sampling/guidance.ts";
import { testOnEngines } from "../engines.ts";
import { relativeError } from "../golden/fill.ts";

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

testOnEngines(
  "withGuidance() is the same in a model's own call, and leaves no tensor behind there either",
  async () => {
    const batch = 64,
      shape = [1, 4, 4] as const,
      definition = sit({ patch: 2, width: 16, depth: 1, heads: 2 }, shape, 3);
    const flat = tf.tensor1d(createRng(5).normal(parameterCount(definition.specs)).map((value) => 0.3 * value));
    const x = tf.tensor(createRng(6).normal(batch * 16), [batch, ...shape]);
    const t = tf.tensor1d(Float32Array.from(createRng(7).uniform(batch)));
    const labels = tf.tensor1d(createRng(8).integers(batch, 3), "int32");
    const own = bindVelocity(definition, flat), before = tf.memory().numTensors;
    for (const weight of [0, 1.7]) {
      const [guided, expected] = [own, { velocity: own.velocity }].map((model) =>
        withGuidance(model, weight).velocity(x, t, labels)
      );
      assertLess(relativeError(await guided!.data(), await expected!.data()), 1e-5);
      assertGreater(relativeError(await guided!.data(), await x.data()), 0.1);
      tf.dispose([guided!, expected!]);
    }
    assertEquals(tf.memory().numTensors, before);
    tf.dispose([flat, x, t, labels]);
  },
);
