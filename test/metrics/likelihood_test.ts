import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import { bitsPerDimOf, likelihood, nllFloor } from "../../lib/metrics/likelihood.ts";
import type { NormalizingFlow } from "../../lib/models/types.ts";
import { memoryDataset } from "./memory_dataset.ts";

await openEngine("wasm");
const shape = [2, 3, 4] as const, dims = 24, size = 500, noiseStd = 0.1;
const labels = Int32Array.from({ length: size }, (_, i) => i % 5);

/** Data N(c, dataStd²) per dimension, in class c. */
function gaussianData(dataStd: number) {
  const draws = createRng(1).fork("data").normal(size * dims);
  return memoryDataset(draws.map((x, i) => dataStd * x + labels[Math.floor(i / dims)]!), labels, shape);
}

/** The exact flow of N(c, std²), whose log-determinant is told `lie` nats too high. */
const gaussianFlow = (std: number, lie = 0): NormalizingFlow => ({
  encode: (x, c) => ({
    noise: x.sub(c.toFloat().reshape([-1, 1, 1, 1])).div(std),
    logDeterminant: tf.fill([x.shape[0]!], lie - dims * Math.log(std)),
  }),
  decode: (z, c) => z.mul(std).add(c.toFloat().reshape([-1, 1, 1, 1])),
  denoise: (x) => x.clone(),
});
const inputs = { noiseStd, rng: createRng(2), batchSize: 64 };

Deno.test("likelihood() of a Gaussian under its own flow is its entropy less ½ log 2π", async () => {
  for (const dataStd of [0, 0.3, 2]) {
    const std = Math.hypot(dataStd, noiseStd);
    const { nll, bitsPerDim } = await likelihood({
      ...inputs,
      dataset: gaussianData(dataStd),
      flow: gaussianFlow(std),
    });
    assertAlmostEquals(nll.value, 0.5 + Math.log(std), 5 * Math.sqrt(1 / (2 * dims * size)));
    assertAlmostEquals(nll.standardError!, Math.sqrt(1 / (2 * dims * size)), 6e-4);
    assertEquals(nll.sampleCount, size);
    assertAlmostEquals(bitsPerDim.value, bitsPerDimOf(nll.value), 1e-12);
  }
});

Deno.test("likelihood() adds the same noise to a row whatever the batch size, and takes a limit", async () => {
  const common = { ...inputs, dataset: gaussianData(0.3), flow: gaussianFlow(0.5) };
  const whole = await likelihood(common);
  for (const batchSize of [1, 37, 1000]) {
    assertAlmostEquals((await likelihood({ ...common, batchSize })).nll.value, whole.nll.value, 1e-7);
  }
  const part = await likelihood({ ...common, limit: 60 });
  assertEquals(part.nll.sampleCount, 60);
  assertAlmostEquals(part.nll.value, whole.nll.value, 5 * part.nll.standardError!);
});

Deno.test("likelihood() calls it a bug when a flow beats the entropy of the noise", async () => {
  const point = { ...inputs, dataset: gaussianData(0) };
  const honest = await likelihood({ ...point, flow: gaussianFlow(noiseStd) });
  assert(Math.abs(honest.nll.value - nllFloor(noiseStd)) < 0.01, "a point mass reaches the floor");
  await assertRejects(() => likelihood({ ...point, flow: gaussianFlow(noiseStd, 2) }), Error, "this is a bug");
});

Deno.test("bitsPerDimOf() gives log₂ 255 bits to the uniform density on [-1, 1]", () => {
  // The density 1/2 on [-1, 1] covers 255 level widths: log₂ 255 bits.
  assertAlmostEquals(bitsPerDimOf(Math.log(2) - Math.log(2 * Math.PI) / 2), Math.log2(255), 1e-12);
});

Deno.test("likelihood() leaves no tensor behind", async () => {
  const before = tf.memory().numTensors;
  await likelihood({ ...inputs, dataset: gaussianData(0.3), flow: gaussianFlow(0.5), limit: 100 });
  assertEquals(tf.memory().numTensors, before);
});
