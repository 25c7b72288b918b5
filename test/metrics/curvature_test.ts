import { assertAlmostEquals, assertEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { curvatureMeasurement } from "../../lib/metrics/curvature.ts";
import { meanOf } from "../../lib/metrics/mean.ts";

Deno.test("curvatureMeasurement() is the mean over trajectories with its standard error", () => {
  const { value, standardError, sampleCount } = curvatureMeasurement(Float64Array.of(1, 2, 3, 6));
  assertEquals([value, sampleCount], [3, 4]);
  assertAlmostEquals(standardError!, Math.sqrt(14 / 3 / 4), 1e-14);
});

Deno.test("meanOf() keeps its digits far from zero and has no error for one sample", () => {
  const draws = Float64Array.from(createRng(1).normal(1000));
  const [near, far] = [meanOf(draws), meanOf(draws.map((x) => x + 1e8))];
  assertAlmostEquals(far.value - 1e8, near.value, 1e-6);
  assertAlmostEquals(far.standardError!, near.standardError!, 1e-8);
  assertEquals(meanOf([4]), { value: 4, sampleCount: 1 });
});
