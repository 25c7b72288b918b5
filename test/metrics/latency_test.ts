import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import {
  interleave,
  latencyBatches,
  latencyName,
  medianMeasurement,
  speedupMeasurement,
} from "../../lib/metrics/latency.ts";
import { figures } from "../../lib/metrics/mod.ts";
import { meanOf } from "../../lib/metrics/mean.ts";

/** A machine whose clock is ours: a contender of cost c takes c times its slowness at that moment. */
function machine(slowness: (time: number) => number) {
  let now = 0;
  const order: string[] = [];
  const contender = (name: string, milliseconds: number) => () => {
    order.push(name);
    now += milliseconds * slowness(now);
    return Promise.resolve();
  };
  return { clock: () => now, order, contender };
}

Deno.test("interleave() runs A B C A B C after a round that it does not time", async () => {
  const { clock, order, contender } = machine((time) => time < 60 ? 100 : 1); // the first round is slow
  const contenders = { A: contender("A", 30), B: contender("B", 20), C: contender("C", 10) };
  const progress: [number, number][] = [];
  const onRun = (done: number, count: number) => void progress.push([done, count]);
  const seconds = await interleave(contenders, { repeats: 2, clock, onRun });
  assertEquals(order.join(""), "ABCABCABC");
  for (const [name, expected] of [["A", 0.03], ["B", 0.02], ["C", 0.01]] as const) {
    assertEquals(seconds[name]!.length, 2);
    seconds[name]!.forEach((x) => assertAlmostEquals(x, expected, 1e-12));
  }
  assertEquals(progress, Array.from({ length: 9 }, (_, i) => [i + 1, 9]));
});

Deno.test("interleave() stops when its caller says so", async () => {
  const { order, contender } = machine(() => 1);
  const stop = (done: number) => {
    if (done === 3) throw new Error("stopped");
  };
  const contenders = { A: contender("A", 1), B: contender("B", 1) };
  await assertRejects(() => interleave(contenders, { repeats: 5, onRun: stop }), Error, "stopped");
  assertEquals(order.join(""), "ABA");
});

Deno.test("a speed-up is the ratio of the costs however the machine's speed drifts from round to round", async () => {
  // Constant within a round of 40 ms, five times slower by the last.
  let round = 0;
  const { clock, contender } = machine(() => 1 + round);
  const contenders = {
    teacher: contender("teacher", 32),
    student: contender("student", 8),
    last: () => Promise.resolve(void round++),
  };
  const { teacher, student } = await interleave(contenders, { repeats: 5, clock });
  assert(teacher![4]! > 2.9 * teacher![0]!);
  const { value, standardError, sampleCount } = speedupMeasurement(teacher!, student!);
  assertAlmostEquals(value, 4, 1e-9);
  assertAlmostEquals(standardError!, 0, 1e-9);
  assertEquals(sampleCount, 5);
});

Deno.test("a speed-up and its reverse are each other's reciprocal for an odd number of rounds", () => {
  const [slow, fast] = ["slow", "fast"].map((name) => Float64Array.from(createRng(3).fork(name).uniform(7)));
  assertAlmostEquals(speedupMeasurement(slow!, fast!).value, 1 / speedupMeasurement(fast!, slow!).value, 1e-12);
});

Deno.test("medianMeasurement() is the middle value, or the mean of the two in the middle, in any order", () => {
  assertEquals(medianMeasurement(Float64Array.of(9, 1, 5)).value, 5);
  assertEquals(medianMeasurement(Float64Array.of(9, 1, 5, 6)).value, 5.5);
  assertEquals(medianMeasurement(Float64Array.of(7)), { value: 7, sampleCount: 1 });
});

Deno.test("the standard error of a median is that of medians of normal samples, and a stray value does not move it", () => {
  const rounds = 21, trials = 3000;
  const medians = new Float64Array(trials), errors = new Float64Array(trials);
  for (let trial = 0; trial < trials; trial++) {
    const { value, standardError } = medianMeasurement(Float64Array.from(createRng(5).at(trial).normal(rounds)));
    medians[trial] = value;
    errors[trial] = standardError!;
  }
  const { value: mean, standardError } = meanOf(medians);
  const spread = standardError! * Math.sqrt(trials);
  assertAlmostEquals(mean, 0, 4 * standardError!);
  assertAlmostEquals(meanOf(errors).value, spread, 0.06 * spread);

  const calm = Float64Array.from({ length: 11 }, (_, i) => 100 + i);
  const disturbed = calm.map((x, i) => i === 10 ? 1e6 : x);
  assertEquals(medianMeasurement(disturbed), medianMeasurement(calm));
});

Deno.test("every batch size that a recipe may name has its figures", () => {
  for (const batch of latencyBatches) {
    for (const figure of ["seconds", "decodeSeconds", "speedup"] as const) {
      const info = figures[latencyName(figure, batch)]!;
      assertEquals(info.unit, figure === "speedup" ? "" : "s");
      assertEquals(info.better, figure === "speedup" ? "higher" : "lower");
      assert(info.label.endsWith(`batch ${batch}`));
    }
  }
});
