import { assertEquals, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { quantise, toBytes, writeUnits } from "../../lib/data/quantise.ts";

const levels = Uint8Array.from({ length: 256 }, (_, u) => u);

Deno.test("toBytes and quantise give every grey level back", () => {
  const units = new Float32Array(256);
  writeUnits(levels, units);
  assertEquals(toBytes(units), levels);
  assertEquals(quantise(units), units);
});

Deno.test("toBytes takes the nearest grey level and clips", () => {
  const step = 1 / 127.5;
  const near = Float32Array.of(-1 + 0.4 * step, -1 + 0.6 * step, 0, -3, 3, -Infinity, Infinity);
  assertEquals([...toBytes(near)], [0, 1, 128, 0, 255, 0, 255]);
  assertThrows(() => toBytes(Float32Array.of(0, NaN)), Problem, "Value 1 of a batch of images is NaN");
});

Deno.test("every mode but trunc gives every grey level back; trunc takes 63 of them one lower, as the reference does", () => {
  const units = new Float32Array(256);
  writeUnits(levels, units);
  for (const mode of ["127.5x+128", "round"] as const) assertEquals(toBytes(units, mode), levels, mode);
  const truncated = toBytes(units, "trunc");
  // ToTensor, Normalize and 0.5(x + 1), written out in float32.
  const f = Math.fround;
  const expected = levels.map((u) => f(f(f(f(f(f(u / 255) - 0.5) / 0.5) + 1) * 0.5) * 255));
  assertEquals(truncated, expected);
  assertEquals(truncated.filter((u, i) => u === i - 1).length, 63);
  assertEquals(truncated.filter((u, i) => u === i).length, 193);
});

Deno.test("modes differ between two levels: nearest with halves up, nearest with halves to even, the lower one", () => {
  const between = Float32Array.of(-1 + 0.6 / 127.5, 0, 1 / 255, 0.7, 2, -2);
  assertEquals([...toBytes(between, "127.5x+128")], [1, 128, 128, 217, 255, 0]);
  assertEquals([...toBytes(between, "round")], [1, 128, 128, 217, 255, 0]);
  assertEquals([...toBytes(between, "trunc")], [0, 127, 128, 216, 255, 0]);
  const half = Float32Array.of(-1 / 127.5); // 126.5 in float32
  assertEquals([...toBytes(half, "round")], [126]);
});
