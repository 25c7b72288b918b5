import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import { assertEfronStein, zDistanceInfo, type ZDistanceInputs, zDistances } from "../../lib/metrics/z_distance.ts";
import type { NormalizingFlow } from "../../lib/models/types.ts";
import { memoryDataset } from "./memory_dataset.ts";

await openEngine("wasm");
const shape = [3, 4, 5] as const, dims = 60, size = 400, dataStd = 0.5, noiseStd = 0.2;
const labels = Int32Array.from({ length: size }, (_, i) => i % 4);
const draws = createRng(1).normal(size * dims).map((x) => dataStd * x);
const dataset = memoryDataset(draws, labels, shape);

/** z = 4x′ + strength·c: linear, so that every distance is known. */
const linear = (strength: number): NormalizingFlow => ({
  encode: (x, c) => ({
    noise: x.mul(4).add(c.toFloat().mul(strength).reshape([-1, 1, 1, 1])),
    logDeterminant: tf.fill([x.shape[0]!], dims * Math.log(4)),
  }),
  decode: (z) => z.clone(),
  denoise: (x) => x.clone(),
});
const inputs: ZDistanceInputs = {
  flow: linear(0),
  dataset,
  noiseStd,
  sigma: new Float32Array(dims).fill(2),
  pairs: 200,
  batchSize: 64,
  rng: createRng(5),
};

Deno.test("zDistances() of a linear flow has the columns that its geometry gives", async () => {
  const d = await zDistances(inputs);
  assertEquals(Object.keys(d), Object.keys(zDistanceInfo));
  // E‖N(0, s²I)‖/√(2n) is nearly s/√2; differences of two draws have √2 times the std.
  const near = (value: number, std: number, se: number) =>
    assertAlmostEquals(value, std, 5 * se + std / (4 * dims) + 1e-4);
  near(d.dx.value, Math.hypot(dataStd, noiseStd), d.dx.standardError!);
  near(d.dxSameData.value, noiseStd, d.dxSameData.standardError!);
  near(d.dxSameNoise.value, dataStd, d.dxSameNoise.standardError!);
  for (const [x, z] of [["dx", "dz"], ["dxSameData", "dzSameData"], ["dxSameNoise", "dzSameNoise"]] as const) {
    assertAlmostEquals(d[z].value, 2 * d[x].value, 1e-5, "z/σ_f = 2x′");
    assertEquals(d[z].sampleCount, 200);
  }
  assertAlmostEquals(d.dzSameData.value ** 2 + d.dzSameNoise.value ** 2, d.dz.value ** 2, 0.02, "additive: equality");
});

Deno.test("zDistances() shares noise across images and gives each image its own label", async () => {
  const [plain, labelled] = [await zDistances(inputs), await zDistances({ ...inputs, flow: linear(50) })];
  assertAlmostEquals(labelled.dzSameData.value, plain.dzSameData.value, 1e-4, "one image, one label");
  assert(labelled.dzSameNoise.value > 2 * plain.dzSameNoise.value, "two images, mostly two labels");
  const noiseless = await zDistances({ ...inputs, noiseStd: 0 });
  assertEquals(noiseless.dxSameData.value, 0);
  assertAlmostEquals(noiseless.dxSameNoise.value, plain.dxSameNoise.value, 1e-6, "η cancels under the same noise");
});

Deno.test("zDistances() does not depend on the batch size and leaves no tensor behind", async () => {
  const before = tf.memory().numTensors;
  const [a, b] = [await zDistances(inputs), await zDistances({ ...inputs, batchSize: 9 })];
  assertAlmostEquals(a.dz.value, b.dz.value, 1e-7);
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("zDistances() refuses more pairs than there are, and a broken Efron–Stein inequality", async () => {
  await assertRejects(() => zDistances({ ...inputs, pairs: 201 }), Problem, "201 disjoint pairs");
  assertEfronStein({ both: [1, 1], sameData: [0.5, 0.5], sameNoise: [0.5, 0.5] });
  const broken = { both: [1, 1], sameData: [0.5, 0.5], sameNoise: [0.4, 0.5] } as const;
  assertThrows(() => assertEfronStein(broken), Error, "Efron–Stein");
});
