import { assert, assertAlmostEquals, assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { Problem } from "../../lib/core/problem.ts";
import { type Tensor, tf, trace } from "../../lib/engine/mod.ts";
import { bindFlow } from "../../lib/models/bind.ts";
import { tarflow, type TarflowOptions } from "../../lib/models/tarflow.ts";
import { condition, parametersOfBlock } from "../../lib/models/tarflow_block.ts";
import type { FlowGuidance } from "../../lib/models/types.ts";
import { causalMask } from "../../lib/nn/attention.ts";
import { classMixing } from "../../lib/nn/embeddings.ts";
import { initialize, parameterCount, sizeOf, unpack } from "../../lib/nn/parameters.ts";
import { type ImageShape, patchify, unpatchify } from "../../lib/nn/patches.ts";
import { fill, relativeError } from "../golden/fill.ts";
import { testOnEngines } from "../engines.ts";

type Scalar = ReturnType<typeof tf.scalar>;

/** A flow whose every parameter is away from its start, so that nothing is the identity. */
function example(options: TarflowOptions, shape: ImageShape, classes: number, batch: number) {
  const definition = tarflow(options, shape, classes);
  const values = definition.specs.map(({ name, shape, init }) => {
    const bounded = name.includes("norm") || name.includes("embed") || shape.length === 1;
    // Small log-scales, as a trained flow has them: the exponentials of large ones leave float32.
    const gain = name.includes("proj_out") ? 0.4 : 1.7;
    return fill(name, shape, bounded ? 0.15 : gain * shape.at(-1)! ** -0.5, init.kind === "ones" ? 1 : 0);
  });
  const flat = tf.concat(values.map((part) => tf.tensor1d(part)));
  return {
    definition,
    flat,
    flow: bindFlow(definition, flat),
    data: tf.tensor(fill("data", [batch, ...shape], 1, 0), [batch, ...shape]),
    noise: tf.tensor(fill("noise", [batch, ...shape], 2, 0), [batch, ...shape]),
    labels: tf.tensor1d(Int32Array.from({ length: batch }, (_, i) => i % Math.max(classes, 1)), "int32"),
  };
}

// 36 tokens: more than two windows of the decoder's cache, and not a multiple of one.
const longOptions: TarflowOptions = { patch: 2, width: 16, headWidth: 8, blocks: [1, 2, 1] };
const longShape: ImageShape = [2, 12, 12];

/** log|det m| of a square matrix, by elimination with pivots. */
function logAbsDeterminant(rows: number[][]): number {
  const m = rows.map((row) => [...row]);
  let sum = 0;
  for (let k = 0; k < m.length; k++) {
    const pivot = m.slice(k).reduce((best, row, i) => Math.abs(row[k]!) > Math.abs(m[best]![k]!) ? k + i : best, k);
    [m[k], m[pivot]] = [m[pivot]!, m[k]!];
    sum += Math.log(Math.abs(m[k]![k]!));
    for (let i = k + 1; i < m.length; i++) {
      const factor = m[i]![k]! / m[k]![k]!;
      for (let j = k; j < m.length; j++) m[i]![j]! -= factor * m[k]![j]!;
    }
  }
  return sum;
}

for (const blocks of [[1], [1, 2, 1]]) {
  testOnEngines(`tarflow's log-determinant is that of its Jacobian, blocks ${blocks}`, () => {
    tf.tidy(() => {
      const shape: ImageShape = [1, 4, 4];
      const { definition, flat, data, labels } = example({ patch: 2, width: 8, headWidth: 4, blocks }, shape, 3, 1);
      const params = unpack(flat, definition.specs);
      const rows = Array.from({ length: 16 }, (_, i) => {
        const output = (x: Tensor) =>
          definition.encode(params, x, labels).noise.reshape([16]).slice([i], [1]).asScalar();
        return Array.from(tf.grad(output)(data).dataSync());
      });
      const { logDeterminant } = definition.encode(params, data, labels);
      const expected = logAbsDeterminant(rows);
      assertGreater(Math.abs(expected), 0.01);
      assertAlmostEquals(logDeterminant.dataSync()[0]!, expected, 1e-4 * Math.abs(expected) + 1e-4);
    });
  });
}

testOnEngines("tarflow decodes what it encodes and encodes what it decodes", () => {
  tf.tidy(() => {
    const { flow, data, noise, labels } = example(longOptions, longShape, 3, 3);
    const encoded = flow.encode(data, labels).noise;
    assertGreater(relativeError(encoded.dataSync(), data.dataSync()), 0.1);
    assertLess(relativeError(flow.decode(encoded, labels).dataSync(), data.dataSync()), 1e-4);
    const decoded = flow.decode(noise, labels);
    assertLess(relativeError(flow.encode(decoded, labels).noise.dataSync(), noise.dataSync()), 1e-4);
  });
});

/** The inverse without a cache: each pass over all tokens settles one token more. */
function decodeByPasses(
  { definition, flat, noise, labels }: ReturnType<typeof example>,
  { patch, width, headWidth, blocks }: TarflowOptions,
  shape: ImageShape,
  guidance?: FlowGuidance,
): Tensor {
  let z = patchify(noise, patch);
  const [, tokens, tokenWidth] = z.shape as [number, number, number];
  const sizes = { tokens, tokenWidth, width, headWidth, classes: 3 };
  const params = unpack(flat, definition.specs);
  const dropped = classMixing(tf.fill(labels.shape, -1, "int32"), 3);
  for (let i = blocks.length - 1; i >= 0; i--) {
    const block = parametersOfBlock(params, i), flipped = i % 2 === 1;
    // The guidance of a token is that of its place in the block's own order; the first is not guided.
    const extra = Array.from({ length: tokens }, (_, token) => {
      const place = flipped ? tokens - 1 - token : token;
      return guidance ? (guidance.weight - 1) * (guidance.annealed ? place / (tokens - 1) : 1) : 0;
    });
    const weights = tf.tensor(extra, [1, tokens, 1]);
    const pass = trace("pass", ({ x, mixing, dropped, weights, z, ...block }) => {
      const of = (mixing: Tensor) => condition(block, x!, mixing, causalMask(tokens, flipped), flipped, sizes);
      const given = of(mixing!), free = of(dropped!);
      const guided = (c: Tensor, u: Tensor) => tf.add(c, tf.mul(weights!, tf.sub(c, u)));
      const logScale = guided(given.logScale, free.logScale), shift = guided(given.shift, free.shift);
      return { x: tf.add(tf.mul(z!, tf.exp(logScale)), shift) };
    });
    const mixing = classMixing(labels, 3);
    let x: Tensor = z;
    for (let k = 0; k < tokens; k++) x = pass({ x, mixing, dropped, weights, z, ...block }).x!;
    z = x as typeof z;
  }
  return unpatchify(z, patch, shape);
}

for (const guidance of [undefined, { weight: 1.6, annealed: false }, { weight: 2, annealed: true }]) {
  testOnEngines(
    `tarflow's cached decoding is its inverse without a cache, ${
      guidance ? `guidance ${guidance.weight}${guidance.annealed ? " annealed" : ""}` : "no guidance"
    }`,
    () => {
      tf.tidy(() => {
        const flow = example(longOptions, longShape, 3, 2);
        const expected = decodeByPasses(flow, longOptions, longShape, guidance);
        assertLess(
          relativeError(flow.flow.decode(flow.noise, flow.labels, guidance).dataSync(), expected.dataSync()),
          1e-4,
        );
      });
    },
  );
}

testOnEngines(
  "tarflow's blocks are causal exactly: a token's scale and shift see only those before it",
  () => {
    tf.tidy(() => {
      const options = { patch: 1, width: 8, headWidth: 4, blocks: [2, 2] };
      const { definition, flat } = example(options, [1, 2, 3], 3, 1);
      const sizes = { tokens: 6, tokenWidth: 1, width: 8, headWidth: 4, classes: 3 };
      const params = unpack(flat, definition.specs), mixing = classMixing(tf.tensor1d([1], "int32"), 3);
      const x = tf.tensor(fill("x", [1, 6, 1], 1, 0), [1, 6, 1]);
      for (const flipped of [false, true]) {
        for (let i = 0; i < 6; i++) {
          const output = (x: Tensor) => {
            const { logScale, shift } = condition(
              parametersOfBlock(params, Number(flipped)),
              x,
              mixing,
              causalMask(6, flipped),
              flipped,
              sizes,
            );
            return tf.add(logScale, shift).reshape([6]).slice([i], [1]).asScalar();
          };
          const seen = Array.from(tf.grad(output)(x).dataSync());
          seen.forEach((value, j) => {
            const before = flipped ? j > i : j < i;
            assertEquals(value !== 0, before, `flipped ${flipped}: output ${i} and input ${j}`);
          });
        }
      }
    });
  },
);

testOnEngines("tarflow leaves the first token of a single block as it is", () => {
  tf.tidy(() => {
    const { flow, data, labels } = example({ patch: 2, width: 8, headWidth: 8, blocks: [2] }, [1, 4, 4], 3, 2);
    const before = patchify(data, 2), after = patchify(flow.encode(data, labels).noise, 2);
    const token = (x: Tensor, i: number) => Array.from(x.slice([0, i, 0], [2, 1, 4]).dataSync());
    assertEquals(token(after, 0), token(before, 0));
    assert(token(after, 1).every((value, i) => value !== token(before, 1)[i]));
  });
});

testOnEngines("tarflow's density integrates to 1 over the plane", () => {
  tf.tidy(() => {
    const { flow } = example({ patch: 1, width: 8, headWidth: 4, blocks: [1, 1] }, [1, 1, 2], 2, 1);
    const points = 120, half = 9, cell = 2 * half / points;
    const grid = Float32Array.from({ length: 2 * points * points }, (_, i) => {
      const cellIndex = i >> 1;
      return -half + cell * ((i % 2 ? cellIndex % points : Math.floor(cellIndex / points)) + 0.5);
    });
    const labels = tf.fill([points * points], 1, "int32");
    const { noise, logDeterminant } = flow.encode(tf.tensor(grid, [points * points, 1, 1, 2]), labels);
    const z = noise.dataSync(), logDet = logDeterminant.dataSync();
    let mass = 0;
    for (let i = 0; i < points * points; i++) {
      mass += Math.exp(-0.5 * (z[2 * i]! ** 2 + z[2 * i + 1]! ** 2) - Math.log(2 * Math.PI) + logDet[i]!) * cell ** 2;
    }
    assertAlmostEquals(mass, 1, 2e-3);
  });
});

testOnEngines("tarflow's gradient in the flat vector is its named gradients end to end", () => {
  tf.tidy(() => {
    const { definition, flat, data, labels } = example(
      { patch: 2, width: 8, headWidth: 4, blocks: [1, 2] },
      [1, 4, 4],
      3,
      2,
    );
    const loss = (params: Readonly<Record<string, Tensor>>) => {
      const { noise, logDeterminant } = definition.encode(params, data, labels);
      return tf.sub(tf.sum(tf.square(noise)), tf.sum(logDeterminant)) as Scalar;
    };
    const byVector = tf.grad((flat: Tensor) => loss(unpack(flat, definition.specs)))(flat).dataSync();
    const names = definition.specs.map(({ name }) => name);
    const params = unpack(flat, definition.specs);
    const named = tf.grads((...parts: Tensor[]) => loss(Object.fromEntries(names.map((name, i) => [name, parts[i]!]))));
    const parts = named(names.map((name) => params[name]!)).map((part) => part.reshape([-1]));
    assertLess(relativeError(byVector, tf.concat(parts).dataSync()), 1e-6);
  });
});

testOnEngines("tarflow without classes encodes, decodes and guides by temperature alone", () => {
  tf.tidy(() => {
    const { definition, flow, data, noise, labels } = example(
      { patch: 2, width: 8, headWidth: 4, blocks: [1, 1] },
      [1, 4, 4],
      0,
      2,
    );
    assert(!definition.specs.some(({ name }) => name.includes("class_embed")));
    assertLess(relativeError(flow.decode(flow.encode(data, labels).noise, labels).dataSync(), data.dataSync()), 1e-4);
    const plain = flow.decode(noise, labels).dataSync();
    const same = flow.decode(noise, labels, { weight: 2, annealed: false }).dataSync();
    const sharper = flow.decode(noise, labels, { weight: 2, annealed: false, temperature: 2 }).dataSync();
    assertLess(relativeError(same, plain), 1e-5);
    assertGreater(relativeError(sharper, plain), 1e-3);
  });
});

testOnEngines("bindFlow keeps no tensors, and takes new noise levels and weights as they come", () => {
  const { flow, flat, data, noise, labels } = example(longOptions, longShape, 3, 2);
  const before = tf.memory().numTensors;
  const encoded = flow.encode(data, labels);
  const results = [
    encoded.noise,
    encoded.logDeterminant,
    flow.decode(noise, labels),
    flow.decode(noise, labels, { weight: 1.5, annealed: true }),
    flow.decode(noise, labels, { weight: 3, annealed: true }),
    flow.denoise(data, labels, 0.1),
    flow.denoise(data, labels, 0.2),
  ];
  assertEquals(tf.memory().numTensors, before + results.length);
  const [, , , weak, strong, small, large] = results.map((x) => x.dataSync());
  assertGreater(relativeError(weak!, strong!), 1e-3);
  const moved = (x: ArrayLike<number>) => Float32Array.from(data.dataSync(), (value, i) => (x[i]! - value) * 4);
  // The step is σ² times the score: four times as far at twice the std.
  assertLess(relativeError(moved(small!), moved(large!).map((value) => value / 4)), 1e-3);
  tf.dispose([results, flat, data, noise, labels]);
});

Deno.test("tarflow has as many parameters as the paper's teachers (Table 9)", () => {
  const count = (width: number) =>
    parameterCount(
      tarflow({ patch: 2, width, headWidth: 64, blocks: [2, 2, 2, 2, 2, 2, 26, 26] }, [3, 64, 64], 1000).specs,
    );
  assertAlmostEquals(count(1024) / 1e6, 823.04, 0.005);
  assertAlmostEquals(count(1536) / 1e6, 1838.54, 0.005);
});

Deno.test("tarflow starts as the reference does: zero weight and uniform bias at the end of each block", () => {
  const { specs } = tarflow({ patch: 2, width: 16, headWidth: 8, blocks: [1, 3] }, [1, 4, 4], 3);
  const flat = initialize(specs, createRng(1));
  let offset = 0;
  for (const { name, shape } of specs) {
    const part = flat.subarray(offset, offset += sizeOf(shape));
    const largest = part.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    if (name.endsWith("proj_out.weight")) assertEquals(largest, 0);
    else if (name.endsWith("norm.weight")) assert(part.every((value) => value === 1));
    else if (name.endsWith("norm.bias")) assertEquals(largest, 0);
    else if (name.endsWith("_embed")) assert(largest > 0 && largest < 0.06);
    else if (name.endsWith("proj_in.weight")) assert(largest > 0.25 && largest <= 0.5);
    else if (name.endsWith("proj_out.bias")) assert(largest > 0 && largest <= 0.25);
  }
  assertEquals(
    specs.filter(({ name }) => name.endsWith("qkv.weight")).map(({ name }) => name.split(".").slice(0, 4).join(".")),
    [
      "blocks.0.attn_blocks.0",
      "blocks.1.attn_blocks.0",
      "blocks.1.attn_blocks.1",
      "blocks.1.attn_blocks.2",
    ],
  );
});

Deno.test("tarflow says which option does not fit", () => {
  const good: TarflowOptions = { patch: 2, width: 16, headWidth: 8, blocks: [1] };
  const bad = (options: Partial<TarflowOptions>, said: string) =>
    assertThrows(() => tarflow({ ...good, ...options }, [1, 4, 4], 3), Problem, said);
  bad({ patch: 3 }, "patch 3 does not divide images of 4×4");
  bad({ patch: 4 }, "patch 4 covers the whole image");
  bad({ headWidth: 5 }, "headWidth 5 does not divide width 16");
  bad({ blocks: [] }, "blocks is empty");
  bad({ blocks: [2, 0] }, "blocks[1] is 0");
});
