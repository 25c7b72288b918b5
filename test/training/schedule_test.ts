import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { createSchedule } from "../../lib/training/schedule.ts";

Deno.test("createSchedule() warms up linearly from the floor, holds or falls by a half cosine, and ends on the floor", () => {
  const options = { learningRate: 1.1, warmupSteps: 10, floor: 0.1, steps: 110 } as const;
  const cosine = createSchedule({ kind: "cosine", ...options });
  const constant = createSchedule({ kind: "constant", ...options });
  for (const rate of [cosine, constant]) {
    for (let step = 0; step < 10; step++) assertAlmostEquals(rate(step), 0.1 + (step + 1) / 10, 1e-12);
    assertAlmostEquals(rate(10), 1.1, 1e-12);
  }
  for (let step = 10; step < 200; step++) assertEquals(constant(step), 1.1);
  assertAlmostEquals(cosine(35), 0.1 + 0.5 * (1 + Math.SQRT1_2), 1e-12);
  assertAlmostEquals(cosine(60), 0.6, 1e-12);
  for (let step = 11; step <= 110; step++) assertEquals(cosine(step) < cosine(step - 1), true);
  assertEquals([cosine(110), cosine(1000)], [0.1, 0.1]);
});

Deno.test("createSchedule() without warm-up begins at the full rate, and refuses what cannot be", () => {
  const options = { kind: "cosine", learningRate: 1, warmupSteps: 0, floor: 0, steps: 4 } as const;
  assertEquals(createSchedule(options)(0), 1);
  assertThrows(() => createSchedule({ ...options, warmupSteps: 5 }), RangeError, "warmupSteps 5");
  assertThrows(() => createSchedule({ ...options, floor: 2 }), RangeError, "floor 2");
  assertThrows(() => createSchedule({ ...options, learningRate: 0 }), RangeError);
});
