import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { Problem } from "../../lib/core/problem.ts";
import { openEngine, type Tensor, tf, trace, withProducts } from "../../lib/engine/mod.ts";
import { cpuFlags } from "../../lib/engine/device.ts";
import { onGpu } from "../../lib/engine/native.ts";
import { linear } from "../../lib/nn/linear.ts";
import { columnSums } from "../../lib/nn/product.ts";
import { engines } from "../engines.ts";
import * as f64 from "./float64.ts";
import type { Dense } from "./float64.ts";

const native = engines.includes("native");

/** To the nearest bfloat16, ties to even: the upper half of a float32. */
function rounded(x: number): number {
  const bits = new Uint32Array(new Float32Array([x]).buffer)[0]!;
  const up = bits + 0x7fff + ((bits >>> 16) & 1);
  return new Float32Array(new Uint32Array([up & 0xffff0000]).buffer)[0]!;
}

const matrix = (data: Float32Array, columns: number): Dense => ({
  shape: [data.length / columns, columns],
  data: Float64Array.from(data),
});

/** The product of matrices, each read as `read`, in row order and float64; and the sums of its parts' sizes. */
function expected(a: Dense, b: Dense, read: (x: number) => number) {
  const [x, y] = [f64.map(a, read), f64.map(b, read)] as const;
  const sizes = f64.matMul(f64.map(x, Math.abs), f64.map(y, Math.abs)).data;
  return Array.from(f64.matMul(x, y).data, (sum, i) => ({ sum, sizes: sizes[i]! }));
}

const rng = createRng(5), rows = 6, inner = 300, columns = 4;
const left = rng.fork("left").normal(rows * inner), right = rng.fork("right").normal(inner * columns);
const place = () => ({ a: tf.tensor2d(left, [rows, inner]), b: tf.tensor2d(right, [inner, columns]) });

/**
 * Products of rounded factors in float64, and what they are sums of without signs: a float32 sum and one rounding of
 * it may differ from the one by 2⁻⁸, a sum of rounded parts by 2⁻⁸ of the other.
 */
const exact = expected(matrix(left, inner), matrix(right, columns), rounded);
const roundsParts = onGpu() || !(await cpuFlags()).includes("avx512f");
const bound = ({ sum, sizes }: { sum: number; sizes: number }) =>
  2 ** -8 * (roundsParts ? sizes : Math.abs(sum)) + 1e-3;

for (const way of ["eager", "recorded"] as const) {
  Deno.test(
    { name: `bfloat16 rounds the factors of a product and its result (${way})`, ignore: !native },
    async () => {
      await openEngine("native");
      const before = tf.memory().numTensors;
      const multiply = ({ a, b }: { a: Tensor; b: Tensor }) => withProducts("bfloat16", () => ({ y: tf.matMul(a, b) }));
      const run = way === "eager" ? multiply : trace("multiply", multiply);
      for (let repeat = 0; repeat < 2; repeat++) {
        const given = place(), { y } = run(given);
        const values = await y.data<"float32">();
        exact.forEach((each, i) => assertAlmostEquals(values[i]!, each.sum, bound(each)));
        assertEquals([...values], [...values].map(rounded));
        tf.dispose([given, y]);
      }
      assertEquals(tf.memory().numTensors, before);
    },
  );
}

// `engines` has opened the native one.
const compiledOnProcessor = { ignore: !native || onGpu() };

Deno.test(
  "compiled for a processor, bfloat16 rounds the factors of a product of matrices, whichever way round, and nothing else",
  compiledOnProcessor,
  async () => {
    await openEngine("native");
    const before = tf.memory().numTensors, options = { compile: true, products: "bfloat16" } as const;
    const thin = [[1, 1, 1], [1, 7, 5], [5, 1, 7], [7, 5, 1]], full = [[16, 32, 16], [17, 300, 33], [64, 100, 48]];
    for (const [m, k, n] of [...thin, ...full, [3, 64, 256]] as [number, number, number][]) {
      const a = createRng(6).normal(m * k), b = createRng(7).normal(k * n);
      const right = expected(matrix(a, k), matrix(b, n), rounded);
      for (const [turnA, turnB] of [[false, false], [false, true], [true, false], [true, true]] as const) {
        // Factors that were turned round by an operation before are XLA's to join with the product.
        const multiply = trace("compiled products", ({ a, b }: { a: Tensor; b: Tensor }) => ({
          read: tf.matMul(turnA ? tf.transpose(a).add(0) : a, turnB ? tf.transpose(b).add(0) : b, turnA, turnB),
          turned: tf.matMul(
            turnA ? tf.transpose(tf.transpose(a).add(0)) : a,
            turnB ? tf.transpose(tf.transpose(b)) : b,
          ),
        }), options);
        const given = { a: tf.tensor2d(a, [m, k]), b: tf.tensor2d(b, [k, n]) }, made = multiply(given);
        for (const y of [made.read, made.turned]) {
          const values = await y.data<"float32">();
          assertEquals(y.shape, [m, n]);
          right.forEach(({ sum, sizes }, i) => assertAlmostEquals(values[i]!, sum, 2 ** -22 * (sizes + 1)));
          assert(m * n < 16 || values.some((x) => x !== rounded(x)), "the result is rounded");
        }
        tf.dispose([given, made]);
      }
    }
    assertEquals(tf.memory().numTensors, before);
  },
);

Deno.test(
  "compiled for a processor, a map's gradients are products in bfloat16, its bias's sums and stacks of matrices are not",
  compiledOnProcessor,
  async () => {
    await openEngine("native");
    for (const [rows, width, out] of [[48, 32, 64], [48, 64, 32]] as [number, number, number][]) {
      const [x, weight, dy] = [rows * width, out * width, rows * out].map((size, i) => createRng(8 + i).normal(size));
      const run = trace("compiled gradients", ({ x, weight, bias, dy }: Record<string, Tensor>) => {
        const [dx, dWeight, dBias] = tf.grads((x, weight, bias) => linear(x!, weight!, bias!))(
          [x!, weight!, bias!],
          dy!,
        );
        const stack = tf.matMul(tf.stack([x!, x!]), tf.stack([weight!, weight!]), false, true);
        return { dx: dx!, dWeight: dWeight!, dBias: dBias!, stack };
      }, { compile: true, products: "bfloat16" });
      const given = {
        x: tf.tensor2d(x!, [rows, width]),
        weight: tf.tensor2d(weight!, [out, width]),
        bias: tf.zeros([out]),
        dy: tf.tensor2d(dy!, [rows, out]),
      };
      const made = run(given), exactly = (x: number) => x;
      const [dOut, points, map] = [matrix(dy!, out), matrix(x!, width), matrix(weight!, width)];
      const right = {
        dx: expected(dOut, map, rounded),
        dWeight: expected(f64.swap(dOut), points, rounded),
        dBias: expected(matrix(new Float32Array(rows).fill(1), rows), dOut, exactly),
        stack: expected(points, f64.swap(map), exactly),
      };
      for (const [name, values] of Object.entries(right)) {
        const found = await made[name as keyof typeof made].data<"float32">();
        values.forEach(({ sum, sizes }, i) => assertAlmostEquals(found[i]!, sum, 2 ** -22 * (sizes + 1), name));
      }
      tf.dispose([given, made]);
    }
  },
);

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
      exact.forEach((each, i) => assertAlmostEquals(y[rows * columns + i]!, 4 * each.sum, 4 * bound(each)));
    });
  },
);

Deno.test("the embedded engine says that it has no bfloat16", async () => {
  await openEngine("wasm");
  const problem = assertThrows(() => withProducts("bfloat16", () => {}), Problem);
  assert(problem.message.includes("products: float32"), problem.message);
});
