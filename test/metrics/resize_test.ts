import { assertAlmostEquals, assertEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { tf } from "../../lib/engine/mod.ts";
import { resizeBicubic, resizeBilinear } from "../../lib/metrics/resize.ts";
import { fill } from "../golden/fill.ts";
import golden from "../golden/pillow-bicubic.json" with { type: "json" };
import { testOnEngines } from "../engines.ts";

const f = Math.fround;
/** Where output `i` looks in the input, in float32 as the references compute it: TensorFlow 1's place, or of pixel centres. */
const places = {
  tf1: (i: number, from: number, to: number) => f(i * f(from / to)),
  halfPixel: (i: number, from: number, to: number) => Math.max(0, f(f((i + 0.5) * f(from / to)) - 0.5)),
};

/** Between the pixels around a place, in float64; the last pixel is repeated. */
function bilinear(image: ArrayLike<number>, height: number, width: number, side: number, mode: keyof typeof places) {
  const at = (y: number, x: number) => image[Math.min(y, height - 1) * width + Math.min(x, width - 1)]!;
  return Float64Array.from({ length: side * side }, (_, i) => {
    const y = places[mode](Math.floor(i / side), height, side), x = places[mode](i % side, width, side);
    const [top, left] = [Math.floor(y), Math.floor(x)], [down, right] = [y - top, x - left];
    const above = at(top, left) + (at(top, left + 1) - at(top, left)) * right;
    const below = at(top + 1, left) + (at(top + 1, left + 1) - at(top + 1, left)) * right;
    return above + (below - above) * down;
  });
}

const sizes = [[64, 64, 299], [5, 9, 13], [299, 150, 299], [31, 20, 8], [1, 1, 4]] as const;
for (const mode of ["tf1", "halfPixel"] as const) {
  testOnEngines(`resizeBilinear() is the formula of ${mode}, larger, smaller and not square`, () => {
    for (const [height, width, side] of sizes) {
      const levels = Float32Array.from(createRng(height).integers(height * width, 256));
      const image = tf.tensor(levels, [1, height, width, 1], "float32");
      const resized = resizeBilinear(image, side, mode);
      const values = resized.dataSync();
      bilinear(levels, height, width, side, mode).forEach((expected, i) =>
        assertAlmostEquals(
          values[i]!,
          expected,
          // A place's rounding in float32, times the steepest edge.
          255 * Math.max(height, width) * 2 ** -22,
          `${height}x${width} to ${side}, place ${i}`,
        )
      );
      tf.dispose([image, resized]);
    }
  });
}

Deno.test("resizeBicubic() has Pillow's values on float channels, clipped", () => {
  for (const { height, width, side, data } of golden.cases) {
    const levels = fill(`bicubic/${height}x${width}`, [height, width], 170, 127.5)
      .map((x) => Math.min(255, Math.max(0, x)));
    resizeBicubic(levels, [1, height, width], side).forEach((x, i) =>
      assertAlmostEquals(x, data[i]!, 1e-4, `${height}x${width} to ${side}, place ${i}`)
    );
  }
});

Deno.test("resizeBicubic() treats every channel and image alike and puts channels last", () => {
  const shape = [3, 4, 6] as const, side = 5, planes = 2 * 3, size = 4 * 6;
  const levels = Float32Array.from(createRng(2).integers(planes * size, 256));
  const out = resizeBicubic(levels, shape, side);
  for (let plane = 0; plane < planes; plane++) {
    const alone = resizeBicubic(levels.subarray(plane * size, (plane + 1) * size), [1, 4, 6], side);
    const image = Math.floor(plane / 3) * side * side * 3;
    assertEquals(alone, out.slice(image, image + side * side * 3).filter((_, i) => i % 3 === plane % 3));
  }
});
