import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { Problem } from "../../lib/core/problem.ts";
import { openEngine, type Tensor, tf, trace, withProducts } from "../../lib/engine/mod.ts";
import { onGpu } from "../../lib/engine/native.ts";
import { columnSums } from "../../lib/nn/product.ts";
import { engines } from "../engines.ts";

const native = engines.includes("native");

/** To the nearest bfloat16, ties to even: the upper half of a float32. */
function rounded(x: number): number {
  const bits = new Uint32Array(new Float32Array([x]).buffer)[0]!;
  const up = bits + 0x7fff + ((bits >>> 16) & 1);
  return new Float32Array(new Uint32Array([up & 0xffff0000]).buffer)[0]!;
}

const rng = createRng(5), rows = 6, inner = 300, columns = 4;
const left = rng.fork("left").normal(rows * inner), right = rng.fork("right").normal(inner * columns);
const place = () => ({ a: tf.tensor2d(left, [rows, inner]), b: tf.tensor2d(right, [inner, columns]) });

/**
 * Products of rounded factors in float64, and what they are sums of without signs: a float32 sum and one rounding of
 * it may differ from the one by 2⁻⁸, a sum of rounded parts, as on a GPU, by 2⁻⁸ of the other.
 */
const exact = Array.from({ length: rows * columns }, (_, at) => {
  const i = Math.floor(at / columns), j = at % columns;
  let sum = 0, sizes = 0;
  for (let k = 0; k < inner; k++) {
    const product = rounded(left[i * inner + k]!) * rounded(right[k * columns + j]!);
    sum += product;
    sizes += Math.abs(product);
  }
  return { sum, sizes };
});

for (const way of ["eager", "recorded"] as const) {
  Deno.test(
    { name: `bfloat16 rounds the factors of a product and its result, and no sum (${way})`, ignore: !native },
    async () => {
      await openEngine("native");
      const before = tf.memory().numTensors;
      const multiply = ({ a, b }: { a: Tensor; b: Tensor }) => withProducts("bfloat16", () => ({ y: tf.matMul(a, b) }));
      const run = way === "eager" ? multiply : trace("multiply", multiply);
      for (let repeat = 0; repeat < 2; repeat++) {
        const given = place(), { y } = run(given);
        const values = await y.data<"float32">();
        exact.forEach(({ sum, sizes }, i) =>
          assertAlmostEquals(values[i]!, sum, 2 ** -8 * (onGpu() ? sizes : Math.abs(sum)) + 1e-3)
        );
        assertEquals([...values], [...values].map(rounded));
        tf.dispose([given, y]);
      }
      assertEquals(tf.memory().numTensors, before);
    },
  );
}

Deno.test(
  { name: "bfloat16 multiplies stacks of matrices and leaves column sums alone", ignore: !native },
  async () => {
    await openEngine("native");
    const sums = tf.tidy(() => {
      const x = tf.tensor2d(left, [rows, inner]);
      return withProducts("bfloat16", () => columnSums(x)).dataSync();
    });
    sums.forEach((sum, k) => {
      let expected = 0;
      for (let i = 0; i < rows; i++) expected += left[i * inner + k]!;
      assertAlmostEquals(sum, expected, 1e-5);
    });
    tf.tidy(() => {
      const { a, b } = place();
      const stack = (x: Tensor) => tf.stack([x, tf.mul(x, 2)]);
      const y = withProducts("bfloat16", () => tf.matMul(stack(a), stack(b))).dataSync();
      exact.forEach(({ sum }, i) =>
        assertAlmostEquals(y[rows * columns + i]!, 4 * sum, 2 ** -6 * Math.abs(sum) + 4e-3)
      );
    });
  },
);

Deno.test("the embedded engine says that it has no bfloat16", async () => {
  await openEngine("wasm");
  const problem = assertThrows(() => withProducts("bfloat16", () => {}), Problem);
  assert(problem.message.includes("products: float32"), problem.message);
});
