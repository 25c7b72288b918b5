import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import {
  accumulateStatistics,
  mergeStatistics,
  type Statistics,
  statisticsOf,
  withoutPart,
} from "../../lib/metrics/statistics.ts";

const dims = 7, rows = 1301;
// A large common offset: a one-pass sum of squares would lose six digits here.
const sample = createRng(4).normal(rows * dims).map((x, i) => x * (1 + i % dims) + 1000);

function twoPass(x: Float32Array): { mean: number[]; covariance: number[] } {
  const n = x.length / dims, columns = [...Array(dims).keys()];
  const mean = columns.map((i) => {
    let sum = 0;
    for (let r = 0; r < n; r++) sum += x[r * dims + i]!;
    return sum / n;
  });
  const covariance = columns.flatMap((i) =>
    columns.map((j) => {
      let sum = 0;
      for (let r = 0; r < n; r++) sum += (x[r * dims + i]! - mean[i]!) * (x[r * dims + j]! - mean[j]!);
      return sum / (n - 1);
    })
  );
  return { mean, covariance };
}

function assertSame(a: Statistics, b: { mean: ArrayLike<number>; covariance: ArrayLike<number> }, tolerance: number) {
  for (let i = 0; i < dims; i++) assertAlmostEquals(a.mean[i]!, b.mean[i]!, tolerance * 1000);
  for (let i = 0; i < dims * dims; i++) assertAlmostEquals(a.covariance[i]!, b.covariance[i]!, tolerance * 49);
}

Deno.test("accumulateStatistics() over pieces of any size gives the two-pass mean and unbiased covariance", () => {
  for (const piece of [1, 3, 64, 700, rows]) {
    const accumulator = accumulateStatistics(dims);
    for (let start = 0; start < rows; start += piece) {
      accumulator.add(sample.subarray(start * dims, (start + piece) * dims));
    }
    const statistics = accumulator.finish();
    assertEquals(statistics.count, rows);
    assertSame(statistics, twoPass(sample), 1e-11);
  }
});

Deno.test("statistics once finished are not touched by rows that come after them", () => {
  const accumulator = accumulateStatistics(dims), ends = [0, 512, 700, 1024, 1300];
  let last: { given: Statistics; then: Statistics } | undefined;
  ends.slice(1).forEach((end, i) => {
    accumulator.add(sample.subarray(ends[i]! * dims, end * dims));
    const given = accumulator.finish();
    if (last) assertEquals(last.given, last.then);
    last = { given, then: structuredClone(given) };
  });
});

Deno.test("mergeStatistics() and withoutPart() are inverse, and merging does not mind the order", () => {
  const [a, b] = [statisticsOf(sample.subarray(0, 90 * dims), dims), statisticsOf(sample.subarray(90 * dims), dims)];
  const whole = mergeStatistics(a, b);
  assertSame(whole, statisticsOf(sample, dims), 1e-12);
  assertSame(mergeStatistics(b, a), whole, 1e-12);
  assertSame(withoutPart(whole, b), a, 1e-10);
  assertEquals(withoutPart(whole, b).count, 90);
});

Deno.test("statisticsOf() refuses a value that is not finite", () => {
  const broken = sample.slice();
  broken[5] = NaN;
  assertThrows(() => statisticsOf(broken, dims), Problem, "NaN");
});
