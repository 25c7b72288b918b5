import { assert, assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { type Tensor, type Tensors, tf, trace } from "../../lib/engine/mod.ts";
import { foldGelu, geluTanh, scaledGelu, silu } from "../../lib/nn/activations.ts";
import { attend, causalMask } from "../../lib/nn/attention.ts";
import { classMixing, classMixingWithExtra, gridFeatures, timeFeatures } from "../../lib/nn/embeddings.ts";
import { foldNorm, layerNorm, standardize } from "../../lib/nn/layer_norm.ts";
import { linear } from "../../lib/nn/linear.ts";
import { channelsFirst, patchify, unpatchify } from "../../lib/nn/patches.ts";
import { columnSums } from "../../lib/nn/product.ts";
import sitSmall from "../golden/sit-small.json" with { type: "json" };
import { fill, relativeError } from "../golden/fill.ts";
import { testOnEngines } from "../engines.ts";

const filled = (name: string, shape: number[], scale = 1): Tensor => tf.tensor(fill(name, shape, scale, 0), shape);
const values = (x: Tensor) => Array.from(x.dataSync());
/** The exact GELU, by way of the scaled one. */
const gelu = (x: Tensor) => tf.mul(scaledGelu(tf.mul(x, Math.SQRT1_2)), Math.SQRT1_2);

/** The gradient of Σ direction·f by central differences, beside the one that autodiff gives. */
function assertGradient(f: (x: Tensor) => Tensor, x: Tensor, step = 1e-2): void {
  const direction = filled("direction", f(x).shape);
  const loss = (x: Tensor) => tf.sum(tf.mul(f(x), direction)) as ReturnType<typeof tf.scalar>;
  const gradient = values(tf.grad(loss)(x));
  const point = values(x);
  const differences = point.map((_, i) => {
    const moved = (h: number) => tf.tensor(point.map((value, j) => value + (i === j ? h : 0)), x.shape);
    const high = values(tf.mul(f(moved(step)), direction)), low = values(tf.mul(f(moved(-step)), direction));
    return high.reduce((sum, value, j) => sum + value - low[j]!, 0) / (2 * step);
  });
  assertLess(relativeError(gradient, differences), 2e-3);
}

testOnEngines("linear multiplies by the transposed weight and adds the bias, over any leading axes", () => {
  tf.tidy(() => {
    const x = tf.tensor([1, 2, 3, 4, 5, 6], [3, 1, 2]), weight = tf.tensor([1, 0, 0, 10, 1, 1], [3, 2]);
    const y = linear(x, weight, tf.tensor([0.5, 0, 0]));
    assertEquals(y.shape, [3, 1, 3]);
    assertEquals(values(y), [1.5, 20, 3, 3.5, 40, 7, 5.5, 60, 11]);
    assertEquals(values(linear(x, weight)), [1, 20, 3, 3, 40, 7, 5, 60, 11]);
  });
});

testOnEngines("linear, standardize, gelu and geluTanh have the gradients of their values", () => {
  tf.tidy(() => {
    const x = filled("x", [4, 6], 2), weight = filled("weight", [3, 6]), bias = filled("bias", [3]);
    assertGradient((x) => linear(x, weight, bias), x);
    assertGradient((weight) => linear(x, weight, bias), weight);
    assertGradient((weight) => linear(x, weight), weight);
    assertGradient((bias) => linear(x, weight, bias), bias);
    assertGradient((x) => standardize(x, 1e-5), x);
    assertGradient((x) => standardize(x, 1e-5, 0), x);
    assertGradient(gelu, x);
    assertGradient(geluTanh, x);
    assertGradient(silu, x);
  });
});

testOnEngines("gelu and geluTanh have the values of their formulas", () => {
  tf.tidy(() => {
    const x = [-6, -2, -0.5, 0, 0.5, 1, 3];
    const cubic = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    values(geluTanh(tf.tensor(x))).forEach((y, i) => assertAlmostEquals(y, cubic(x[i]!), 1e-5));
    // x·Φ(x) from a table of the normal distribution function.
    const table = [-5.9e-9, -0.0455003, -0.1542688, 0, 0.3457312, 0.8413447, 2.9959503];
    values(gelu(tf.tensor(x))).forEach((y, i) => assertAlmostEquals(y, table[i]!, 2e-6));
  });
});

for (const compile of [false, true]) {
  const how = compile ? "compiled" : "recorded";
  testOnEngines(`linear has its weight's gradient whichever side is the wider, ${how}`, () => {
    for (const [width, out] of [[3, 5], [5, 3], [4, 4]] as const) {
      const rows = 7,
        rng = createRng(3),
        sized = (name: string, columns: number) => rng.fork(name).normal(rows * columns);
      const seen = sized("x", width), factor = sized("factor", out);
      const gradient = trace("gradient of weight", ({ x, weight, factor }: Tensors) => ({
        of: tf.grad((weight: Tensor) => linear(x!, weight).mul(factor!).sum())(weight!),
      }), { compile });
      const x = tf.tensor2d(seen, [rows, width]), weight = tf.zeros([out, width]);
      const given = { x, weight, factor: tf.tensor2d(factor, [rows, out]) }, { of } = gradient(given);
      assertEquals(of.shape, [out, width]);
      const expected = Float32Array.from({ length: out * width }, (_, at) => {
        const i = Math.floor(at / width), j = at % width;
        let sum = 0;
        for (let row = 0; row < rows; row++) sum += factor[row * out + i]! * seen[row * width + j]!;
        return sum;
      });
      assertLess(relativeError(values(of), expected), 1e-6);
      tf.dispose([of, given]);
    }
  });
}

testOnEngines("standardize gives mean 0 and variance 1, and foldNorm the linear map of layerNorm", () => {
  tf.tidy(() => {
    const x = filled("x", [5, 8], 3);
    const turned = tf.transpose(standardize(tf.transpose(x), 0));
    assertLess(relativeError(values(standardize(x, 0, 0)), values(turned)), 1e-6);
    const { mean, variance } = tf.moments(standardize(x, 0), 1);
    for (const value of values(mean)) assertAlmostEquals(value, 0, 1e-6);
    for (const value of values(variance)) assertAlmostEquals(value, 1, 1e-5);
    const norm = { weight: filled("a", [8]), bias: filled("b", [8]) };
    const map = { weight: filled("c", [4, 8]), bias: filled("d", [4]) };
    const folded = foldNorm(norm, map);
    const plain = linear(layerNorm(x, norm.weight, norm.bias, 1e-5), map.weight, map.bias);
    assertLess(relativeError(values(linear(standardize(x, 1e-5), folded.weight, folded.bias)), values(plain)), 1e-5);
  });
});

testOnEngines("attend is softmax(qkᵀ/√d)v per head, and its causal mask hides later tokens exactly", () => {
  tf.tidy(() => {
    const shape = { batch: 2, tokens: 3, heads: 2, headWidth: 4 };
    const qkv = filled("qkv", [6, 24], 2), data = values(qkv);
    const at = (b: number, t: number, part: number, h: number, k: number) =>
      data[(b * 3 + t) * 24 + part * 8 + h * 4 + k]!;
    for (
      const [mask, sees] of [
        [undefined, () => true],
        [causalMask(3), (i: number, j: number) => j <= i],
        [causalMask(3, true), (i: number, j: number) => j >= i],
      ] as [Tensor | undefined, (i: number, j: number) => boolean][]
    ) {
      const expected: number[] = [];
      for (let b = 0; b < 2; b++) {
        for (let i = 0; i < 3; i++) {
          for (let h = 0; h < 2; h++) {
            const weights = [0, 1, 2].map((j) =>
              sees(i, j) ? Math.exp([0, 1, 2, 3].reduce((s, k) => s + at(b, i, 0, h, k) * at(b, j, 1, h, k), 0) / 2) : 0
            );
            const total = weights.reduce((a, b) => a + b);
            for (let k = 0; k < 4; k++) {
              expected.push(weights.reduce((sum, weight, j) => sum + weight / total * at(b, j, 2, h, k), 0));
            }
          }
        }
      }
      assertLess(relativeError(values(attend(qkv, shape, mask)), expected), 1e-5);
    }
    const first = (qkv: Tensor) => tf.sum(attend(qkv, shape, causalMask(3)).slice([0, 0], [1, 8]));
    const gradient = values(tf.grad(first as (x: Tensor) => ReturnType<typeof tf.scalar>)(qkv));
    assert(gradient.slice(16, 24).some((value) => value !== 0));
    assert(gradient.slice(24).every((value) => value === 0));
  });
});

testOnEngines("patchify orders each patch by channel, row, column, and unpatchify inverts it", () => {
  tf.tidy(() => {
    // Two channels of 2×4: patches of 2 are the left and the right half.
    const images = tf.tensor([0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17], [1, 2, 2, 4]);
    const tokens = patchify(images, 2);
    assertEquals(tokens.shape, [1, 2, 8]);
    assertEquals(values(tokens), [0, 1, 4, 5, 10, 11, 14, 15, 2, 3, 6, 7, 12, 13, 16, 17]);
    for (
      const [shape, patch] of [[[3, 4, 6], 2], [[1, 6, 3], 3], [[2, 3, 3], 1]] as [[number, number, number], number][]
    ) {
      const x = filled("x", [2, ...shape]);
      assertEquals(values(unpatchify(patchify(x, patch), patch, shape)), values(x));
    }
    assertEquals(values(channelsFirst(tf.tensor([0, 10, 1, 11, 2, 12, 3, 13], [1, 1, 8]), 2)), [
      0,
      1,
      2,
      3,
      10,
      11,
      12,
      13,
    ]);
  });
});

testOnEngines("gridFeatures is the reference's fixed embedding, the column first", () => {
  tf.tidy(() => {
    const corner = gridFeatures(4, 4, 64).slice([15, 0], [1, 64]);
    assertLess(relativeError(values(corner), sitSmall.pos_embed_sample.data), 1e-6);
    const column1 = values(gridFeatures(2, 2, 8).slice([1, 0], [1, 8]));
    assertAlmostEquals(column1[0]!, Math.sin(1), 1e-6);
    assertEquals(column1[4], 0);
  });
});

testOnEngines("timeFeatures is cos then sin, at frequencies from 1 down to 1/10000", () => {
  tf.tidy(() => {
    const features = values(timeFeatures(tf.tensor1d([0, 0.7]), 8));
    assertEquals(features.slice(0, 8), [1, 1, 1, 1, 0, 0, 0, 0]);
    assertAlmostEquals(features[8]!, Math.cos(0.7), 1e-6);
    assertAlmostEquals(features[13]!, Math.sin(0.07), 1e-6);
  });
});

testOnEngines(
  "classMixing takes the mean for the dropped label, classMixingWithExtra the extra row, of one class too",
  () => {
    tf.tidy(() => {
      const labels = tf.tensor1d([1, -1], "int32");
      assertEquals(values(classMixing(labels, 4)), [0, 1, 0, 0, 0.25, 0.25, 0.25, 0.25]);
      assertEquals(values(classMixingWithExtra(labels, 3)), [0, 1, 0, 0, 0, 0, 0, 1]);
      const only = tf.tensor1d([0, -1], "int32");
      assertEquals([values(classMixing(only, 1)), values(classMixingWithExtra(only, 1))], [[1, 1], [1, 0, 0, 1]]);
    });
  },
);

testOnEngines("columnSums adds the rows", () => {
  tf.tidy(() => assertEquals(values(columnSums(tf.tensor([1, 2, 3, 4, 5, 6], [3, 2]))), [9, 12]));
});

testOnEngines("scaledGelu between folded maps is GELU between the maps", () => {
  tf.tidy(() => {
    const map = (name: string, out: number, width: number) => ({
      weight: filled(`${name}.weight`, [out, width]),
      bias: filled(`${name}.bias`, [out]),
    });
    const x = filled("x", [5, 6]), up = map("up", 8, 6), down = map("down", 4, 8);
    const expected = linear(gelu(linear(x, up.weight, up.bias)), down.weight, down.bias);
    const folded = foldGelu(up, down);
    const hidden = scaledGelu(linear(x, folded.up.weight, folded.up.bias));
    assertLess(relativeError(values(linear(hidden, folded.down.weight, folded.down.bias)), values(expected)), 1e-6);
  });
});
