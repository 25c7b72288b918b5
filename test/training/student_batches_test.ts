import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { normalizingFlow } from "../../lib/couplings/normalizing_flow.ts";
import type { Coupling } from "../../lib/couplings/types.ts";
import { type Tensors, tf } from "../../lib/engine/mod.ts";
import { lookAhead } from "../../lib/training/look_ahead.ts";
import { droppedInBatch } from "../../lib/training/flow_matching.ts";
import { studentBatches } from "../../lib/training/student_batches.ts";
import { defaultTimes } from "../../lib/training/times.ts";
import { randomTeacher, smallSet } from "../couplings/small_set.ts";
import { testOnEngines } from "../engines.ts";

const size = 8, rng = createRng(5), options = { size, labelDropout: 0.5, time: defaultTimes };

async function build() {
  const teacher = randomTeacher();
  const own = await normalizingFlow.build(
    { dataset: smallSet(), rng, flips: false, teacher },
    normalizingFlow.options.parse({ sigma: "none", teacherLabel: "student" }),
  );
  const asked: (Uint8Array | undefined)[] = [];
  const coupling: Coupling = {
    ...own,
    sample(size, rng, dropped) {
      asked.push(dropped);
      return own.sample(size, rng, dropped);
    },
    dispose() {
      own.dispose();
      teacher.dispose();
    },
  };
  return { coupling, asked };
}

function taken(batch: Tensors) {
  const values = Object.fromEntries(Object.entries(batch).map(([key, x]) => [key, [...x.dataSync()]]));
  tf.dispose(batch);
  return values;
}

testOnEngines("pairs serve as many steps as asked, with other t, whichever step is the first", async () => {
  const { coupling, asked } = await build();
  const before = tf.memory().numTensors;
  const run = async (first: number, steps: number, pairUses: number) => {
    const source = studentBatches(coupling, rng, { ...options, pairUses });
    const ahead = lookAhead(source.batch, first + steps), made = [];
    for (let step = first; step < first + steps; step++) made.push(taken(await ahead.next(step)));
    await ahead.dispose();
    await source.dispose();
    return made;
  };
  const once = await run(0, 3, 1), thrice = await run(0, 8, 3);
  assertEquals(asked.length, 3 + 3, "the coupling draws once a lot");
  assertEquals(tf.memory().numTensors, before);
  assertEquals(thrice[0], once[0], "the first use is what it is without others");
  for (const [step, batch] of thrice.entries()) {
    const lot = Math.floor(step / 3), sameLot = thrice[3 * lot]!;
    for (const key of ["data", "noise", "labels"]) assertEquals(batch[key], sameLot[key], `${key} of step ${step}`);
    for (const earlier of thrice.slice(0, step)) assertNotEquals(batch.t, earlier.t);
    if (lot > 0) assertNotEquals(batch.noise, thrice[3 * (lot - 1)]!.noise);
    const dropped = droppedInBatch(size, rng.fork("batch").at(lot), options);
    assertEquals(batch.labels!.map((label) => Number(label < 0)), [...dropped], "what the student sees");
  }
  asked.slice(-3).forEach((dropped, lot) =>
    assertEquals(dropped, droppedInBatch(size, rng.fork("batch").at(lot), options), "what the coupling is told")
  );
  assertEquals(await run(4, 4, 3), thrice.slice(4), "resumed within a lot");
  assertEquals(tf.memory().numTensors, before);
  coupling.dispose();
});

testOnEngines("a coupling that fails does so at each step of its lot, and leaves nothing behind", async () => {
  let calls = 0;
  const failing = { sample: () => Promise.reject(new Error(`draw ${++calls}`)), facts: {}, dispose: () => {} };
  const source = studentBatches(failing, rng, { ...options, pairUses: 2 });
  for (const step of [0, 1, 2]) {
    const error = await source.batch(step).catch((error) => error);
    assert(error instanceof Error && error.message === `draw ${Math.floor(step / 2) + 1}`);
  }
  await source.dispose();
});
