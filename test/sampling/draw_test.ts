import { assertAlmostEquals, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import type { NormalizingFlow } from "../../lib/models/types.ts";
import {
  balancedLabels,
  type DrawOptions,
  drawSamples,
  type SampleSource,
  studentSource,
} from "../../lib/sampling/draw.ts";
import { unguided } from "../../lib/sampling/guidance.ts";
import { sampler } from "../../lib/sampling/ode.ts";
import { teacherSamples, teacherSource } from "../../lib/sampling/teacher.ts";

await openEngine("wasm");
const shape = [1, 3, 5] as const;
const echo: SampleSource = (noise) => Promise.resolve({ data: noise.clone() });
const student = studentSource(
  sampler({ method: "heun", nfe: 3, curvature: true }),
  unguided({ velocity: (x, t, c) => x.mul(t.mul(c.toFloat()).reshape([-1, 1, 1, 1])) }),
);
const base = { source: echo, count: 20, batchSize: 8, shape, classes: 3, rng: createRng(2).fork("draw") };
const draw = (change: Partial<DrawOptions> = {}) => drawSamples({ ...base, ...change });

Deno.test("drawSamples() gives the same bytes for the same key, others for another", async () => {
  const [a, b] = [await draw({ source: student }), await draw({ source: student })];
  assertEquals(a, b);
  assertNotEquals((await draw({ rng: createRng(3) })).data, (await draw()).data);
});

Deno.test("drawSamples() starts a sample from its own noise, whatever the batch size and the count", async () => {
  const whole = await draw();
  for (const batchSize of [1, 7, 20, 64]) assertEquals(await draw({ batchSize }), whole);
  assertEquals((await draw({ count: 11 })).data, whole.data.slice(0, 11 * 15));
  const solved = await draw({ source: student });
  (await draw({ source: student, batchSize: 3 })).data.forEach((x, i) => assertAlmostEquals(x, solved.data[i]!, 1e-6));
});

Deno.test("drawSamples() gives its source labels row by row, and keeps each trajectory's curvature", async () => {
  const { labels, curvature } = await draw({ source: student, batchSize: 6 });
  assertEquals(labels, balancedLabels(20, 3));
  // Under label 0 this field is zero, so its paths are straight; under the others they bend.
  assertEquals([...curvature!].map((k) => k > 0), [...labels].map((c) => c > 0));
});

Deno.test("balancedLabels() holds every class equally often in every prefix", () => {
  const counts = new Array(10).fill(0);
  for (const label of balancedLabels(1234, 10)) counts[label]++;
  assertEquals(counts, [124, 124, 124, 124, 123, 123, 123, 123, 123, 123]);
});

Deno.test("drawSamples() takes noise and labels as given, and refuses a wrong number of them", async () => {
  const noise = createRng(9).normal(20 * 15), labels = Int32Array.from({ length: 20 }, (_, i) => i % 2);
  assertEquals(await draw({ noise, labels }), { data: noise, labels });
  await assertRejects(() => draw({ noise: noise.slice(15) }), Problem, "19 rows of noise");
  await assertRejects(() => draw({ labels: labels.slice(1) }), Problem, "19 rows of labels");
});

Deno.test("drawSamples() names the first sample that is not finite", async () => {
  const source: SampleSource = (noise) => Promise.resolve({ data: tf.tidy(() => noise.mul(0).log().mul(0)) });
  await assertRejects(() => draw({ source }), Problem, "Sample 0 is not finite");
});

/** Noise as it is, but not where a number of it is above `limit`. */
const breaking = (limit: number): SampleSource => (noise, labels) =>
  Promise.resolve({ data: tf.tidy(() => tf.where(noise.greater(limit), NaN, noise).add(labels.mul(0).max())) });

Deno.test("drawSamples() draws a batch again that is not finite, its labels under other noise, and no other", async () => {
  const whole = await draw({ redraws: 3 }), rows = (from: number, to: number) => [from * 15, to * 15] as const;
  assertEquals(whole, await draw());
  // The greatest number lies in one of the batches of 8 rows.
  const greatest = whole.data.indexOf(Math.max(...whole.data)), batch = Math.floor(greatest / 15 / 8);
  const source = breaking(whole.data[greatest]! - 1e-3);
  const mended = await draw({ source, redraws: 3 });
  assertEquals([mended.redrawn, mended.labels], [1, whole.labels]);
  assertEquals(await draw({ source, redraws: 3 }), mended);
  for (const [b, end] of [8, 16, 20].entries()) {
    const of = ({ data }: { data: Float32Array }) => data.slice(...rows(8 * b, end));
    (b === batch ? assertNotEquals : assertEquals)(of(mended), of(whole));
  }
  await assertRejects(() => draw({ source }), Problem, "is not finite: ");
  await assertRejects(() => draw({ source, redraws: 3, noise: whole.data }), Problem, "is not finite: ");
  await assertRejects(() => draw({ source: breaking(-9), redraws: 3 }), Problem, "nor under other noise, 3 times over");
});

Deno.test("drawSamples() reports progress and leaves no tensor behind", async () => {
  const progress: number[] = [];
  const before = tf.memory().numTensors;
  await draw({ source: student, onProgress: (done) => progress.push(done) });
  assertEquals(progress, [8, 16, 20]);
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("drawSamples() hears a stop between batches, though its source computes each at once", async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Problem("stopped")));
  const onProgress = () => stop.signal.throwIfAborted();
  await assertRejects(() => draw({ count: 800, onProgress }), Problem, "stopped");
});

/** z = 2x + c: an affine flow whose guidance and denoising can be seen in the numbers. */
const flow: NormalizingFlow = {
  encode: (x, c) => ({
    noise: x.mul(2).add(c.toFloat().reshape([-1, 1, 1, 1])),
    logDeterminant: tf.fill([x.shape[0]!], 15 * Math.log(2)),
  }),
  decode: (z, c, guidance) => z.sub(c.toFloat().mul(guidance?.weight ?? 1).reshape([-1, 1, 1, 1])).div(2),
  denoise: (x, c, noiseStd) => x.sub(c.toFloat().reshape([-1, 1, 1, 1]).mul(noiseStd)),
};

Deno.test("teacherSamples() inverts the flow, with guidance, denoising and σ_f when asked for", async () => {
  const noise = tf.tensor(createRng(1).normal(30), [2, ...shape]), labels = tf.tensor1d([0, 3], "int32");
  const z = noise.dataSync(), label = (i: number) => i < 15 ? 0 : 3;
  const check = (options: Parameters<typeof teacherSamples>[3], expected: (z: number, c: number) => number) =>
    teacherSamples(flow, noise, labels, options).dataSync()
      .forEach((x, i) => assertAlmostEquals(x, expected(z[i]!, label(i)), 1e-5));
  check({}, (z, c) => (z - c) / 2);
  check({ guidance: { weight: 2, annealed: false } }, (z, c) => (z - 2 * c) / 2);
  check({ noiseStd: 0.1 }, (z, c) => (z - c) / 2 - 0.1 * c);
  check({ sigma: tf.fill([...shape], 3) }, (z, c) => (3 * z - c) / 2);
  const before = tf.memory().numTensors;
  await draw({ source: teacherSource(flow, { noiseStd: 0.1, sigma: tf.keep(tf.ones([...shape])) }) });
  assertEquals(tf.memory().numTensors, before + 1, "σ_f alone remains");
});
