import { assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { createPixelDataset } from "../../lib/data/pixel_dataset.ts";
import { subset } from "../../lib/data/subset.ts";

/** Three images of two channels, 1 × 3. */
const set = {
  name: "hand-made",
  split: "test",
  shape: [2, 1, 3],
  classes: 3,
  pixels: Uint8Array.of(0, 255, 51, 1, 2, 3, 10, 20, 30, 40, 50, 60, 100, 110, 120, 130, 140, 150),
  labels: Uint8Array.of(2, 0, 1),
} as const;

Deno.test("createPixelDataset gathers in the order asked for, repeats included, as u/127.5 - 1", async () => {
  const dataset = createPixelDataset(set);
  assertEquals([dataset.size, [...dataset.labels]], [3, [2, 0, 1]]);
  const { data, labels } = await dataset.gather(Int32Array.of(2, 0, 2));
  assertEquals([...labels], [1, 2, 1]);
  const expected = [2, 0, 2].flatMap((row) => [...set.pixels.subarray(row * 6, row * 6 + 6)]);
  expected.forEach((u, i) => assertAlmostEquals(data[i]!, u / 127.5 - 1, 1e-7));
  assertEquals([data[6], data[7]], [-1, 1]);
});

Deno.test("gather mirrors the flipped rows left to right, each channel and line by itself", async () => {
  const dataset = createPixelDataset(set);
  const plain = await dataset.gather(Int32Array.of(0, 1));
  const mixed = await dataset.gather(Int32Array.of(0, 1), Uint8Array.of(0, 1));
  const mirrored = [8, 7, 6, 11, 10, 9].map((p) => plain.data[p]!);
  assertEquals([...mixed.data], [...plain.data.subarray(0, 6), ...mirrored]);
  assertEquals(mixed.labels, plain.labels);
});

Deno.test("the digest of a dataset tells pixels, labels and shape, and not the name", () => {
  const digest = (changes: object) => createPixelDataset({ ...set, ...changes }).digest;
  assertEquals(digest({ name: "other" }), digest({}));
  assertNotEquals(digest({ pixels: set.pixels.map((u, i) => i === 17 ? u + 1 : u) }), digest({}));
  assertNotEquals(digest({ labels: Uint8Array.of(2, 0, 0) }), digest({}));
  assertNotEquals(digest({ shape: [1, 2, 3] }), digest({}));
});

Deno.test("a dataset refuses rows that it does not have and pixels that do not fit", () => {
  const dataset = createPixelDataset(set);
  for (const index of [-1, 3]) {
    assertThrows(() => dataset.gather(Int32Array.of(0, index)), RangeError, `image ${index}`);
  }
  assertThrows(() => createPixelDataset({ ...set, pixels: set.pixels.subarray(1) }), RangeError, "got 17");
});

Deno.test("subset takes distinct rows, the same ones each time, smaller within larger", async () => {
  const size = 50;
  const rows = Uint8Array.from({ length: size }, (_, i) => i);
  const all = createPixelDataset({ ...set, shape: [1, 1, 1], classes: size, pixels: rows, labels: rows });
  const ten = subset(all, 10), four = subset(all, 4);
  assertEquals([ten.size, ten.labels.length, new Set(ten.labels).size], [10, 10, 10]);
  assertEquals(four.labels, ten.labels.subarray(0, 4));
  assertNotEquals([...ten.labels], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const { data, labels } = await ten.gather(Int32Array.of(9, 0));
  assertEquals([...labels], [ten.labels[9], ten.labels[0]]);
  data.forEach((x, i) => assertAlmostEquals(x, labels[i]! / 127.5 - 1, 1e-7));
  assertEquals(new Set([all.digest, ten.digest, four.digest, subset(all, 10).digest]).size, 3);
  assertThrows(() => ten.gather(Int32Array.of(10)), RangeError, "image 10");
  for (const count of [0, 51, 1.5]) assertThrows(() => subset(all, count), RangeError, "expected 1 to 50");
});
