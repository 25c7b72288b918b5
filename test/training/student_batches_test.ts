import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { independent } from "../../lib/couplings/independent.ts";
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
  const run = async (first: number, steps: number, pairUses: number, apart?: number) => {
    const source = studentBatches(coupling, rng, { ...options, pairUses, ...(apart && { apart }) });
    const ahead = lookAhead(source.batch, first + steps), made = [];
    for (let step = first; step < first + steps; step++) made.push(taken((await ahead.take(step))[0]!));
    await ahead.dispose();
    await source.dispose();
    return made;
  };
  const dropped = (lot: number) => droppedInBatch(size, rng.fork("batch").at(lot), options);
  const once = await run(0, 3, 1);
  const cases: [apart: number, lots: number[]][] = [[1, [0, 0, 0, 1, 1, 1, 2, 2]], [2, [0, 1, 0, 1, 0, 1, 2, 3, 2, 3]]];
  for (const [apart, lots] of cases) {
    const before = tf.memory().numTensors;
    asked.length = 0;
    const thrice = await run(0, lots.length, 3, apart);
    assertEquals(asked, [...new Set(lots)].map(dropped), "the coupling draws once a lot, for the labels that are seen");
    assertEquals(thrice.slice(0, apart), once.slice(0, apart), "the first use is what it is without others");
    for (const [step, batch] of thrice.entries()) {
      const lot = lots[step]!, sameLot = thrice[lots.indexOf(lot)]!;
      for (const key of ["data", "noise", "labels"]) assertEquals(batch[key], sameLot[key], `${key} of step ${step}`);
      for (const earlier of thrice.slice(0, step)) assertNotEquals(batch.t, earlier.t);
      if (lot > 0) assertNotEquals(batch.noise, thrice[lots.indexOf(lot - 1)]!.noise);
      assertEquals(batch.labels!.map((label) => Number(label < 0)), [...dropped(lot)], "what the student sees");
    }
    assertEquals(await run(4, lots.length - 4, 3, apart), thrice.slice(4), "begun amid the uses of a lot");
    assertEquals(tf.memory().numTensors, before);
  }
  const long = await run(0, 33, 2);
  assertEquals(long[32]!.noise, long[0]!.noise, "32 steps apart");
  for (const { noise } of long.slice(1, 32)) assertNotEquals(noise, long[0]!.noise);
  coupling.dispose();
});

testOnEngines("batches of a coupling that draws them together are the same ones, a group at a time", async () => {
  const own = await independent.build({ dataset: smallSet(), rng, flips: false }, {});
  const size = 300, length = 3; // the most that 1024 pairs hold
  const groups: number[] = [];
  const together: Coupling = {
    ...own,
    sampleEach(size, rngs) {
      groups.push(rngs.length);
      return Promise.all(rngs.map((key) => own.sample(size, key)));
    },
  };
  const run = async (coupling: Coupling, pairUses: number, first: number) => {
    const before = tf.memory().numTensors, made = [];
    const source = studentBatches(coupling, rng, { ...options, size, pairUses, apart: 2 });
    for (let step = first; step < 8; step++) made.push(taken(await source.batch(step)));
    await source.dispose();
    assertEquals(tf.memory().numTensors, before);
    return made;
  };
  for (const pairUses of [1, 2]) {
    const apart = await run(own, pairUses, 0), lots = 8 / pairUses;
    groups.length = 0;
    assertEquals(await run(together, pairUses, 0), apart);
    assertEquals(groups, Array(Math.ceil(lots / length)).fill(length), "each group is drawn once");
    for (const first of [1, 4, 7]) assertEquals(await run(together, pairUses, first), apart.slice(first));
  }
  own.dispose();
});

testOnEngines("a coupling that fails does so at each step of its lot, and leaves nothing behind", async () => {
  let calls = 0;
  const failing = { sample: () => Promise.reject(new Error(`draw ${++calls}`)), facts: {}, dispose: () => {} };
  const source = studentBatches(failing, rng, { ...options, pairUses: 2, apart: 1 });
  for (const step of [0, 1, 2]) {
    const error = await source.batch(step).catch((error) => error);
    assert(error instanceof Error && error.message === `draw ${Math.floor(step / 2) + 1}`);
  }
  await source.dispose();
});
