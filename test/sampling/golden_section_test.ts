import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { goldenSection } from "../../lib/sampling/golden_section.ts";

Deno.test("goldenSection() shrinks the bracket by 0.618 an iteration around the minimum of a parabola", async () => {
  for (const minimum of [1.01, 1.4, 2.345, 3.99]) {
    const { bracket: [low, high], probes, weight } = await goldenSection((w) => Promise.resolve((w - minimum) ** 2));
    assertAlmostEquals(high - low, 3 * ((Math.sqrt(5) - 1) / 2) ** 12, 1e-12);
    assert(low <= minimum && minimum <= high);
    assertEquals(probes.length, 13);
    assertEquals(weight, Number(minimum.toPrecision(2)));
  }
});

Deno.test("goldenSection() logs every probe once, and answers with the best of them, rounded", async () => {
  const asked: number[] = [], seen: number[] = [];
  const objective = (w: number) => (asked.push(w), Promise.resolve(Math.sin(5 * w) + w)); // several minima
  const { probes, weight } = await goldenSection(objective, {
    bracket: [0.5, 6],
    iterations: 9,
    digits: 3,
    onProbe: (probe, index) => (assertEquals(index, seen.length), seen.push(probe.weight)),
  });
  assertEquals(probes.map((p) => p.weight), asked);
  assertEquals(seen, asked);
  assertEquals(asked.length, 10);
  assertEquals(new Set(asked).size, 10, "no weight is evaluated twice");
  const best = probes.reduce((a, b) => b.value < a.value ? b : a);
  assertEquals(weight, Number(best.weight.toPrecision(3)));
});

Deno.test("goldenSection() tends to an end where the minimum is, and away from values that are not finite", async () => {
  assertEquals((await goldenSection((w) => Promise.resolve(w))).weight, 1);
  assertEquals((await goldenSection((w) => Promise.resolve(-w))).weight, 4);
  const notFinite = (exitCode: number) => Promise.reject(new Problem("samples", { exitCode }));
  for (const broken of [() => Promise.resolve(NaN), () => notFinite(70)]) {
    const { weight, probes } = await goldenSection((w) => w > 1.6 ? broken() : Promise.resolve((w - 1.3) ** 2));
    assertEquals(weight, 1.3);
    assert(probes.some((p) => p.value === Infinity));
  }
  await assertRejects(() => goldenSection(() => notFinite(75)), Problem, "samples");
});

Deno.test("goldenSection() refuses an empty bracket and an objective without a value", async () => {
  const constant = () => Promise.resolve(0);
  await assertRejects(() => goldenSection(constant, { bracket: [2, 2] }), Problem, "[2, 2]");
  await assertRejects(() => goldenSection(constant, { iterations: 0 }), Problem);
  await assertRejects(() => goldenSection(() => Promise.resolve(NaN)), Problem, "finite");
});
