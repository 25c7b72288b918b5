import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { hashOf } from "../../../lib/core/hash.ts";
import { boxResize, toPlanes } from "../../../lib/data/imagenet/box_resize.ts";
import small from "../../golden/box-resize.json" with { type: "json" };
import shapes from "../../golden/box-resize-shapes.json" with { type: "json" };
import { fill } from "../../golden/fill.ts";

/** `floor(fill(name, [height, width, 3], 0.5, 0.5) * 256)`, as the reference made its input. */
function filled(height: number, width: number) {
  const values = fill(`box-${height}x${width}`, [height, width, 3], 0.5, 0.5);
  return { width, height, pixels: Uint8Array.from(values, (x) => Math.min(255, Math.max(0, Math.floor(x * 256)))) };
}

Deno.test("boxResize() is Pillow 13's, bit by bit", () => {
  const [height, width] = small.input.shape as [number, number];
  assertEquals([...boxResize(filled(height, width), small.size[0]!, small.size[1]!).pixels], small.output);
});

// SHA-256 of Image.fromarray(input).resize((width, height), Image.BOX) in Pillow 13: ratios that are whole and not,
// up and down, tall (where the rows come first) and wide.
for (const { height, width, size, sha256 } of shapes) {
  Deno.test(`boxResize() of ${width}x${height} to ${size[1]}x${size[0]} is Pillow's`, () => {
    assertEquals(hashOf(boxResize(filled(height, width), size[1]!, size[0]!).pixels), sha256);
  });
}

Deno.test("boxResize() keeps a flat image flat and stays within the levels of any", () => {
  const side = fc.integer({ min: 1, max: 90 }), level = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(side, side, side, side, level, (width, height, toWidth, toHeight, value) => {
      const flat = { width, height, pixels: new Uint8Array(width * height * 3).fill(value) };
      assert(boxResize(flat, toWidth, toHeight).pixels.every((u) => u === value));
      const image = filled(height, width), out = boxResize(image, toWidth, toHeight).pixels;
      const [least, most] = [Math.min(...image.pixels), Math.max(...image.pixels)];
      assert(out.every((u) => u >= least && u <= most));
    }),
    { numRuns: 60 },
  );
});

Deno.test("boxResize() by a whole factor is the rounded mean of each box, within the two roundings", () => {
  const out = boxResize(filled(128, 192), 64, 64).pixels, { pixels } = filled(128, 192);
  for (let y = 0; y < 64; y++) {
    for (let x = 0; x < 64; x++) {
      for (let k = 0; k < 3; k++) {
        let sum = 0;
        for (let i = 0; i < 6; i++) sum += pixels[((2 * y + Math.floor(i / 3)) * 192 + 3 * x + i % 3) * 3 + k]!;
        assert(Math.abs(out[(y * 64 + x) * 3 + k]! - sum / 6) <= 1);
      }
    }
  }
});

Deno.test("boxResize() to any size is the mean of each box, within the two roundings", () => {
  // The inputs whose centres lie in output i's box, or, below one input, the one under its centre: in whole numbers.
  // Rounding decides where a centre lies on a box's edge: those are left out.
  const box = (i: number, from: number, to: number): number[] => {
    const onEdge = (k: number) => [i, i + 1].some((edge) => (2 * k + 1) * to === 2 * edge * from);
    if (from >= to && Array.from({ length: from }, (_, k) => k).some(onEdge)) return [];
    const inside = (k: number) =>
      from >= to
        ? (2 * k + 1) * to > 2 * i * from && (2 * k + 1) * to <= 2 * (i + 1) * from
        : 2 * k * to <= (2 * i + 1) * from && (2 * i + 1) * from < 2 * (k + 1) * to;
    return Array.from({ length: from }, (_, k) => k).filter(inside);
  };
  const side = fc.integer({ min: 1, max: 70 });
  fc.assert(
    fc.property(side, side, side, side, fc.boolean(), (width, height, toWidth, toHeight, grey) => {
      const image = filled(height, width);
      if (grey) image.pixels.forEach((_, i) => image.pixels[i] = image.pixels[i - i % 3]!);
      const out = boxResize(image, toWidth, toHeight);
      assertEquals([out.width, out.height], [toWidth, toHeight]);
      const rows = Array.from({ length: toHeight }, (_, y) => box(y, height, toHeight));
      const columns = Array.from({ length: toWidth }, (_, x) => box(x, width, toWidth));
      for (const [i, level] of out.pixels.entries()) {
        const across = columns[Math.floor(i / 3) % toWidth]!, down = rows[Math.floor(i / 3 / toWidth)]!;
        if (across.length * down.length === 0) continue;
        const sum = down.flatMap((y) => across.map((x) => image.pixels[(y * width + x) * 3 + i % 3]!))
          .reduce((sum, u) => sum + u, 0);
        assert(Math.abs(level - sum / (across.length * down.length)) <= 1 + 1e-3, `${i}`);
        if (grey) assertEquals(level, out.pixels[i - i % 3]);
      }
    }),
    { numRuns: 40, seed: 7 },
  );
});

Deno.test("toPlanes() takes the channels apart", () => {
  assertEquals([...toPlanes({ width: 2, height: 1, pixels: Uint8Array.of(1, 2, 3, 4, 5, 6) })], [1, 4, 2, 5, 3, 6]);
});
