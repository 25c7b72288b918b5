import { assertAlmostEquals, assertEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { pairDistance } from "../../lib/runs/pictures.ts";

const count = 600, each = 3, dims = 64;
const teacher = createRng(0).fork("teacher").normal(count * dims);

Deno.test("pairDistance() is 0 for a student that repeats its teacher, image by image", () => {
  assertEquals(pairDistance(teacher, teacher, count, each).value, 0);
});

Deno.test("pairDistance() is 1, to its standard error, for a student of the same law that ignores the seed", () => {
  const unrelated = createRng(0).fork("student").normal(count * dims);
  const { value, standardError, sampleCount } = pairDistance(unrelated, teacher, count, each);
  assertEquals(sampleCount, count);
  assertAlmostEquals(value, 1, 5 * standardError! + 1 / dims);
});

Deno.test("pairDistance() compares with the next image of the same class, never with another class", () => {
  const images = Float32Array.of(0, 10, 100, 110); // two classes of two one-pixel images
  const near = Float32Array.of(1, 11, 101, 111);
  const { value } = pairDistance(near, images, 4, 2);
  assertAlmostEquals(value, (1 / 9 + 1 / 11 + 1 / 9 + 1 / 11) / 4, 1e-6);
});
