import { assertEquals, assertRejects } from "@std/assert";
import { turn } from "../../lib/core/turn.ts";
import { type Tensors, tf } from "../../lib/engine/mod.ts";
import { lookAhead } from "../../lib/training/look_ahead.ts";
import { testOnEngines } from "../engines.ts";

const valuesOf = (batches: readonly Tensors[]) => batches.map(({ x }) => x!.dataSync()[0]);
const batchOf = (step: number) => Promise.resolve({ x: tf.tensor1d([step]) });

testOnEngines("lookAhead() gives each step its own batch, begins the next two, and none beyond the last", async () => {
  const before = tf.memory().numTensors;
  const begun: number[] = [];
  const batches = lookAhead((step) => (begun.push(step), batchOf(step)), 5);
  for (let step = 0; step < 4; step++) {
    const batch = batches.take(step);
    assertEquals(begun.length, step === 0 ? 1 : Math.min(step + 2, 5), "the next ones wait for the event loop's turn");
    assertEquals(valuesOf(await batch), [step]);
    await turn();
    assertEquals(begun, [0, 1, 2, 3, 4].slice(0, step + 3));
    tf.dispose(await batch);
  }
  await batches.dispose();
  assertEquals(tf.memory().numTensors, before, "what was begun and not used is disposed");
});

testOnEngines("lookAhead() gives several steps theirs at once, and begins as many more and one", async () => {
  const before = tf.memory().numTensors;
  const begun: number[] = [];
  const batches = lookAhead((step) => (begun.push(step), batchOf(step)), 12);
  for (const [first, count, last] of [[0, 1, 2], [1, 3, 7], [4, 4, 11], [8, 3, 11]] as const) {
    const taken = await batches.take(first, count);
    assertEquals(valuesOf(taken), Array.from({ length: count }, (_, i) => first + i));
    await turn();
    assertEquals(begun, Array.from({ length: last + 1 }, (_, i) => i), "each once, in order");
    tf.dispose(taken);
  }
  await batches.dispose();
  assertEquals(tf.memory().numTensors, before);
});

testOnEngines("lookAhead() reports a batch that fails when its step is asked for, not before", async () => {
  const before = tf.memory().numTensors;
  const failing = (step: number) => step === 1 ? Promise.reject(new Error("no image")) : batchOf(step);
  for (const count of [1, 2]) {
    const batches = lookAhead(failing, 3);
    if (count === 1) tf.dispose(await batches.take(0));
    await assertRejects(() => batches.take(count === 1 ? 1 : 0, count), Error, "no image");
    await batches.dispose();
  }
  assertEquals(tf.memory().numTensors, before, "the batches beside it are disposed");
});
