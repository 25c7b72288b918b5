import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { normalizingFlow } from "../../lib/couplings/mod.ts";
import type { Teacher } from "../../lib/couplings/types.ts";
import { tf } from "../../lib/engine/mod.ts";
import { testOnEachEngine } from "../nn/engines.ts";
import { greatest, momentsOf, randomTeacher, smallSet } from "./small_set.ts";

const dataset = smallSet(), dimension = 16;
const build = (teacher: Teacher, sigma: "perDimension" | "scalar" | "none") =>
  normalizingFlow.build({ dataset, teacher, rng: createRng(1), flips: false }, { sigma });

Deno.test("normalizingFlow asks for a teacher", async () => {
  const inputs = { dataset, rng: createRng(1), flips: false };
  await assertRejects(() => normalizingFlow.build(inputs, { sigma: "none" }), Problem, "no teacher");
});

await testOnEachEngine("normalizingFlow divides by σ_f of paper §3.2, per dimension or as one number", async () => {
  const teacher = randomTeacher(0);
  const rows = Int32Array.from({ length: dataset.size }, (_, i) => i);
  const { data, labels } = await dataset.gather(rows);
  const encoded = tf.tidy(() =>
    teacher.flow.encode(tf.tensor4d(data, [dataset.size, 1, 4, 4]), tf.tensor1d(labels, "int32")).noise
  );
  const squares = momentsOf((await encoded.data()).map((z) => z ** 2), dimension).mean;
  encoded.dispose();
  const sigmas = squares.map(Math.sqrt), one = Math.sqrt(squares.reduce((a, b) => a + b) / dimension);

  for (
    const [kind, expected] of [["perDimension", sigmas], ["scalar", sigmas.map(() => one)], [
      "none",
      sigmas.map(() => 1),
    ]] as const
  ) {
    const coupling = await build(teacher, kind);
    const { sigmaMean, sigmaMin, sigmaMax } = coupling.facts;
    assertAlmostEquals(sigmaMean!, expected.reduce((a, b) => a + b) / dimension, 1e-5);
    assertAlmostEquals(sigmaMin!, Math.min(...expected), 1e-5);
    assertAlmostEquals(sigmaMax!, Math.max(...expected), 1e-5);
    // Without noise the flow alone decides: z · σ_f = f(x, c).
    const pairs = await coupling.sample(20, createRng(3));
    const direct = tf.tidy(() => teacher.flow.encode(pairs.data, pairs.labels).noise);
    const [z, f] = [await pairs.noise.data(), await direct.data()];
    assert(greatest(z.map((value, i) => value * expected[i % dimension]! - f[i]!)) < 1e-5);
    tf.dispose([pairs.noise, pairs.data, pairs.labels, direct]);
    coupling.dispose();
  }
  teacher.dispose();
});

await testOnEachEngine("normalizingFlow pairs the clean image with the encoding of a freshly noised one", async () => {
  const teacher = randomTeacher(0.1), coupling = await build(teacher, "none");
  const draws = 2048;
  const pairs = await coupling.sample(draws, createRng(4));
  const decoded = teacher.flow.decode(pairs.noise, pairs.labels);
  const [noisy, clean] = [await decoded.data(), await pairs.data.data()];
  const { mean, variance, greatestCovariance } = momentsOf(
    noisy.map((value, i) => (value - clean[i]!) / 0.1),
    dimension,
  );
  assert(greatest(mean) < 5 / Math.sqrt(draws), `mean ${mean}`);
  assert(greatest(variance.map((v) => v - 1)) < 5 * Math.sqrt(2 / draws), `variance ${variance}`);
  assert(greatestCovariance < 5 / Math.sqrt(draws), `covariance ${greatestCovariance}`);
  tf.dispose([pairs.noise, pairs.data, pairs.labels, decoded]);
  coupling.dispose();
  teacher.dispose();
});

await testOnEachEngine("normalizingFlow refuses a teacher whose noise is not finite", async () => {
  const broken: Teacher = {
    noiseStd: 0.1,
    flow: {
      ...randomFlow,
      encode: (data, labels) => ({ noise: tf.log(tf.sub(data, 5)), logDeterminant: tf.zeros(labels.shape) }),
    },
  };
  const error = await assertRejects(() => build(broken, "perDimension"), Problem, "not finite");
  assertEquals(error.exitCode, 70);
});

const randomFlow = { decode: (noise: unknown) => noise as never, denoise: (noisy: unknown) => noisy as never };
