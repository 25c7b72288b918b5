import { assertEquals, assertLessOrEqual, assertThrows } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { boxAverage, padImages, prepareImages } from "../../lib/data/prepare.ts";

Deno.test("boxAverage takes the mean of each box, rounded half up, image by image", () => {
  // Boxes of the first image: (0+1+0+1)/4 = .5, 9/4 = 2.25, 255, 11/4 = 2.75.
  const images = [
    [0, 1, 2, 3],
    [0, 1, 4, 0],
    [255, 255, 2, 3],
    [255, 255, 3, 3],
    [8, 8, 0, 0],
    [8, 8, 0, 1],
    [0, 0, 6, 0],
    [0, 0, 0, 0],
  ].flat();
  assertEquals([...boxAverage(Uint8Array.from(images), 4, 2)], [1, 2, 255, 3, 8, 0, 0, 2]);
  assertEquals([...boxAverage(Uint8Array.from(images), 4, 1)], images);
  assertThrows(() => boxAverage(Uint8Array.from(images), 4, 3), RangeError, "expected a multiple");
});

Deno.test("padImages frames with zeros and keeps every pixel", () => {
  assertEquals([...padImages(Uint8Array.of(1, 2, 3, 4), 2, 4)], [0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0]);
  assertEquals([...padImages(Uint8Array.of(1, 2), 1, 2)], [1, 0, 0, 0, 2, 0, 0, 0]);
});

Deno.test("prepareImages conserves the mass of an image to half a grey level a pixel, and a constant within", () => {
  const images = Uint8Array.from(createRng(1).integers(5 * 784, 256));
  for (const size of [8, 16] as const) {
    const small = prepareImages(images, size), area = (32 / size) ** 2;
    assertEquals(small.length, 5 * size * size);
    for (let i = 0; i < 5; i++) {
      const before = sum(images.subarray(i * 784, (i + 1) * 784));
      const after = sum(small.subarray(i * size * size, (i + 1) * size * size));
      assertLessOrEqual(Math.abs(after * area - before), size * size * area / 2);
    }
  }
  assertEquals(prepareImages(images, 28), images);
  assertEquals(prepareImages(images, 32), padImages(images, 28, 32));
  const flat = prepareImages(new Uint8Array(784).fill(200), 16);
  assertEquals([flat[0], flat[17], flat[255], flat[120]], [0, 200, 0, 200]);
});

function sum(values: Uint8Array): number {
  return values.reduce((total, value) => total + value, 0);
}
