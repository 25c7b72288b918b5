import { assertAlmostEquals, assertEquals } from "@std/assert";
import { lossCurve } from "../../lib/training/loss_curve.ts";

const records = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ step: i + 1, loss: Math.cos(i), gradientNorm: 1 }));

Deno.test("lossCurve() divides the steps among its points, and keeps their mean", () => {
  for (const [count, points] of [[1, 64], [5, 64], [64, 64], [100, 64], [1000, 7]] as const) {
    const log = records(count), curve = lossCurve(log, points);
    assertEquals(curve.length, Math.min(count, points));
    assertEquals(curve.at(-1)!.step, count);
    const lengths = curve.map(({ step }, i) => step - (curve[i - 1]?.step ?? 0));
    assertEquals(lengths.every((length) => Math.abs(length - count / curve.length) < 1), true, `${lengths}`);
    const sum = (values: readonly number[]) => values.reduce((a, b) => a + b);
    assertAlmostEquals(sum(curve.map(({ loss }, i) => loss * lengths[i]!)), sum(log.map(({ loss }) => loss)), 1e-9);
  }
  assertEquals(lossCurve(records(3), 64).map(({ loss }) => loss), [1, Math.cos(1), Math.cos(2)]);
});
