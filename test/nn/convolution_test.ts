import { assertEquals, assertLess } from "@std/assert";
import { type Tensor, tf } from "../../lib/engine/mod.ts";
import { convolution, depthToSpace, spaceToDepth } from "../../lib/nn/convolution.ts";
import { fill, relativeError } from "../golden/fill.ts";
import { testOnEngines } from "../engines.ts";

const filled = (name: string, shape: number[]): Tensor => tf.tensor(fill(name, shape, 1, 0), shape);
const values = (x: Tensor) => Array.from(x.dataSync());

/** The definition as sums, and the gradient of Σ direction·output with respect to x and weight, as sums too. */
function writtenOut(x: Tensor, weight: Tensor, bias: Tensor, direction: Tensor) {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const [out, , side] = weight.shape as [number, number, number, number];
  const [image, filter, dy] = [values(x), values(weight), values(direction)];
  const output = new Array<number>(batch * height * width * out), offsets = values(bias);
  const dx = image.map(() => 0), dWeight = filter.map(() => 0);
  for (let at = 0; at < output.length; at++) {
    const o = at % out, column = Math.floor(at / out) % width, row = Math.floor(at / out / width) % height;
    const b = Math.floor(at / out / width / height);
    output[at] = offsets[o]!;
    for (let i = 0; i < channels * side * side; i++) {
      const [c, ky, kx] = [Math.floor(i / side / side), Math.floor(i / side) % side, i % side];
      const [y, z] = [row + ky - (side - 1) / 2, column + kx - (side - 1) / 2];
      if (y < 0 || y >= height || z < 0 || z >= width) continue;
      const from = ((b * height + y) * width + z) * channels + c, w = o * channels * side * side + i;
      output[at]! += image[from]! * filter[w]!;
      dx[from]! += dy[at]! * filter[w]!;
      dWeight[w]! += dy[at]! * image[from]!;
    }
  }
  return { output, dx, dWeight };
}

for (const side of [1, 3]) {
  testOnEngines(`convolution of side ${side} and its gradient are their definition`, () => {
    tf.tidy(() => {
      const x = filled("x", [2, 4, 5, 3]), weight = filled("weight", [2, 3, side, side]), bias = filled("bias", [2]);
      const direction = filled("direction", [2, 4, 5, 2]);
      const expected = writtenOut(x, weight, bias, direction);
      const output = convolution(x, weight, bias);
      assertEquals(output.shape, [2, 4, 5, 2]);
      assertLess(relativeError(values(output), expected.output), 1e-5);
      const [dx, dWeight, dBias] = tf.grads((x: Tensor, weight: Tensor, bias: Tensor) =>
        tf.sum(tf.mul(convolution(x, weight, bias), direction)) as ReturnType<typeof tf.scalar>
      )([x, weight, bias]) as [Tensor, Tensor, Tensor];
      assertLess(relativeError(values(dx), expected.dx), 1e-5);
      assertLess(relativeError(values(dWeight), expected.dWeight), 1e-5);
      assertLess(relativeError(values(dBias), values(tf.sum(direction, [0, 1, 2]))), 1e-5);
    });
  });
}

testOnEngines("spaceToDepth orders a square by row, column and channel, and depthToSpace inverts it", () => {
  tf.tidy(() => {
    // Two rows of four pixels of two channels: pixel p has channels p and p + 10.
    const x = tf.tensor([0, 10, 1, 11, 2, 12, 3, 13, 4, 14, 5, 15, 6, 16, 7, 17], [1, 2, 4, 2]);
    const deep = spaceToDepth(x, 2);
    assertEquals(deep.shape, [1, 1, 2, 8]);
    assertEquals(values(deep), [0, 10, 1, 11, 4, 14, 5, 15, 2, 12, 3, 13, 6, 16, 7, 17]);
    const images = filled("images", [2, 6, 9, 2]);
    assertEquals(values(depthToSpace(spaceToDepth(images, 3), 3)), values(images));
  });
});
