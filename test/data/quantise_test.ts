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
