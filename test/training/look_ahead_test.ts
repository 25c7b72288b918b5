import { assertEquals, assertRejects } from "@std/assert";
import { turn } from "../../lib/core/turn.ts";
import { tf } from "../../lib/engine/mod.ts";
import { lookAhead } from "../../lib/training/look_ahead.ts";
import { testOnEngines } from "../engines.ts";

const valueOf = async (batch: Promise<Record<string, { dataSync(): ArrayLike<number> }>>) => [
  ...Array.from((await batch).x!.dataSync()),
];

testOnEngines("lookAhead() gives each step its own batch, begins the next two, and none beyond the last", async () => {
  const before = tf.memory().numTensors;
  const begun: number[] = [];
  const batches = lookAhead((step) => {
    begun.push(step);
    return Promise.resolve({ x: tf.tensor1d([step]) });
  }, 5);
  for (let step = 0; step < 4; step++) {
    const batch = batches.next(step);
    assertEquals(begun.length, step === 0 ? 1 : Math.min(step + 2, 5), "the next ones wait for the event loop's turn");
    assertEquals(await valueOf(batch), [step]);
    await turn();
    assertEquals(begun, [0, 1, 2, 3, 4].slice(0, step + 3));
    tf.dispose(await batch);
  }
  await batches.dispose();
  assertEquals(tf.memory().numTensors, before, "what was begun and not used is disposed");
});

testOnEngines("lookAhead() reports a batch that fails at its own step, not before", async () => {
  const batches = lookAhead(
    (step) => step === 1 ? Promise.reject(new Error("no image")) : Promise.resolve({ x: tf.tensor1d([step]) }),
    3,
  );
  tf.dispose(await batches.next(0));
  await assertRejects(() => batches.next(1), Error, "no image");
  await batches.dispose();
});
