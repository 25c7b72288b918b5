import { assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import { createRng, philox } from "../../lib/core/rng.ts";

Deno.test("philox() gives the known answers of Random123", () => {
  const cases: [number[], number[], string][] = [
    [[0, 0, 0, 0], [0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    [[~0, ~0, ~0, ~0], [~0, ~0], "408f276d 41c83b0e a20bc7c6 6d5451fd"],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], "d16cfe09 94fdcceb 5001e420 24126ea1"],
  ];
  for (const [c, k, expected] of cases) {
    const out = new Uint32Array(4);
    philox(c[0]!, c[1]!, c[2]!, c[3]!, k[0]!, k[1]!, out, 0);
    assertEquals([...out].map((x) => x.toString(16).padStart(8, "0")).join(" "), expected);
  }
});

Deno.test("an Rng is a key: the same call gives the same numbers, other names and indices others", () => {
  const rng = createRng(5);
  assertEquals(rng.fork("a").normal(5), createRng(5).fork("a").normal(5));
  assertNotEquals(rng.fork("a").bits(4), rng.fork("b").bits(4));
  assertNotEquals(rng.at(1).bits(4), rng.at(2).bits(4));
  assertNotEquals(rng.at(1).bits(4), rng.fork("1").bits(4));
  assertEquals(rng.bits(3), rng.bits(8).slice(0, 3), "a longer draw begins with the shorter one");
});

Deno.test("normal() has the first four moments of N(0, 1) within five standard errors", () => {
  const n = 200_000;
  const draws = createRng(1).fork("moments").normal(n);
  const moment = (k: number) => draws.reduce((sum, x) => sum + x ** k, 0) / n;
  for (const [k, expected, variance] of [[1, 0, 1], [2, 1, 2], [3, 0, 15], [4, 3, 96]] as const) {
    assertAlmostEquals(moment(k), expected, 5 * Math.sqrt(variance / n));
  }
});

Deno.test("integers() are uniform by a chi-squared test, permutation() is a permutation", () => {
  const counts = new Float64Array(10);
  for (const i of createRng(2).integers(100_000, 10)) counts[i]! += 1;
  const chi2 = counts.reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0);
  assertEquals(chi2 < 27.9, true, `chi-squared with 9 degrees of freedom: ${chi2}`); // p = 0.001
  assertEquals([...createRng(3).permutation(100)].sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i));
});
