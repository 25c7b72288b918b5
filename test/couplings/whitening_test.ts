import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { encodings } from "../../lib/couplings/encodings.ts";
import { normalizingFlow } from "../../lib/couplings/mod.ts";
import type { CouplingInputs, Teacher } from "../../lib/couplings/types.ts";
import { createPixelDataset } from "../../lib/data/pixel_dataset.ts";
import type { Dataset } from "../../lib/data/types.ts";
import { tf } from "../../lib/engine/mod.ts";
import { testOnEngines } from "../engines.ts";
import { greatest, momentsOf, randomTeacher, smallSet } from "./small_set.ts";

const dimension = 16;
const options = normalizingFlow.options.parse({ sigma: "none", whitening: "class" });

/** 240 images of 4×4, of classes that differ in mean and spread; class 2 has `last` of them. */
function classes(last: number): Dataset {
  const counts = [100, 140 - last, last], size = 240;
  const labels = Uint8Array.from(counts.flatMap((count, label) => Array<number>(count).fill(label)));
  const noise = createRng(21).normal(size * dimension);
  const pixels = Uint8Array.from(noise, (value, i) => {
    const label = labels[Math.floor(i / dimension)]!;
    return Math.max(0, Math.min(255, 90 + 40 * label + 15 * (1 + label) * value));
  });
  return createPixelDataset({ name: "classes", split: "train", shape: [1, 4, 4], classes: 3, pixels, labels });
}

/** z of the very encodings that the whitening was measured on, by class, in order. */
async function whitened(inputs: CouplingInputs, teacher: Teacher, toNoise: (f: never, labels: never) => unknown) {
  const byClass: number[][] = [[], [], []];
  for await (const { noise, labels } of encodings(inputs, teacher, "")) {
    const z = tf.tidy(() =>
      toNoise(
        tf.tensor4d(noise, [labels.length, 1, 4, 4]) as never,
        tf.tensor1d(labels, "int32") as never,
      ) as ReturnType<typeof tf.tensor4d>
    );
    assertEquals(z.shape, [labels.length, 1, 4, 4]);
    const values = await z.data();
    z.dispose();
    labels.forEach((label, i) => byClass[label]!.push(...values.subarray(i * dimension, (i + 1) * dimension)));
  }
  return byClass;
}

testOnEngines("whitening: class gives every class mean 0 and covariance I on the training set", async () => {
  for (const flips of [false, true]) {
    const teacher = randomTeacher(), inputs = { dataset: classes(60), teacher, rng: createRng(1), flips };
    const coupling = await normalizingFlow.build(inputs, options);
    assertEquals([coupling.sigma, coupling.facts["whiteningShrinkage"]], [undefined, 0]);
    for (const own of await whitened(inputs, teacher, coupling.toNoise as never)) {
      const { mean, variance, greatestCovariance } = momentsOf(own, dimension);
      assert(greatest(mean) < 1e-5, `mean ${mean}`);
      assert(greatest(variance.map((value) => value - 1)) < 1e-5, `variance ${variance}`);
      assert(greatestCovariance < 1e-5, `covariance ${greatestCovariance}`);
    }
    coupling.dispose();
    teacher.dispose();
  }
});

testOnEngines(
  "whitening: class draws what toNoise() makes of the encoding, under the datum's label",
  async () => {
    const teacher = randomTeacher(), inputs = { dataset: classes(60), teacher, rng: createRng(1), flips: false };
    const coupling = await normalizingFlow.build(inputs, { ...options, endpoint: "noised" });
    const before = tf.memory().numTensors;
    const { noise, data, labels } = await coupling.sample(50, createRng(3));
    const expected = tf.tidy(() => coupling.toNoise!(teacher.flow.encode(data, labels).noise, labels));
    assertEquals(await noise.data(), await expected.data());
    tf.dispose([noise, data, labels, expected]);
    assertEquals(tf.memory().numTensors, before);
    coupling.dispose();
    teacher.dispose();
  },
);

testOnEngines("whitening: class lends a class of few images the covariance common to all", async () => {
  const teacher = randomTeacher(), inputs = { dataset: classes(8), teacher, rng: createRng(1), flips: false };
  const coupling = await normalizingFlow.build(inputs, options);
  // 8 images of 16 dimensions: three quarters of the covariance are the common one.
  assertAlmostEquals(coupling.facts["whiteningShrinkage"]!, 0.75);
  const [first, , last] = await whitened(inputs, teacher, coupling.toNoise as never);
  assert(greatest(momentsOf(first!, dimension).variance.map((value) => value - 1)) < 1e-5);
  const { mean, variance } = momentsOf(last!, dimension);
  assert(greatest(mean) < 1e-5);
  assert(variance.every(Number.isFinite) && greatest(variance.map((value) => value - 1)) > 0.1, `variance ${variance}`);
  coupling.dispose();
  teacher.dispose();
});

testOnEngines("whitening: class is kept, and read back to the same bytes", async () => {
  const cacheDir = await Deno.makeTempDir(), teacher = randomTeacher();
  const draw = async (progress: () => void) => {
    const inputs = { dataset: smallSet(), teacher, rng: createRng(1), flips: true, cacheDir, onProgress: progress };
    const coupling = await normalizingFlow.build(inputs, options);
    const { noise, data, labels } = await coupling.sample(20, createRng(3));
    const result = [coupling.facts, await noise.data()];
    tf.dispose([noise, data, labels]);
    coupling.dispose();
    return result;
  };
  let steps = 0;
  const first = await draw(() => steps++);
  assert(steps > 0);
  assertEquals(await draw(() => assert(false, "measured again")), first);
  teacher.dispose();
  await Deno.remove(cacheDir, { recursive: true });
});

testOnEngines("whitening: class refuses a flow whose noise spans no volume, or is not finite", async () => {
  const teacherOf = (encode: (data: never) => never): Teacher => ({
    noiseStd: 0.1,
    flow: {
      encode: (data, labels) => ({ noise: encode(data as never), logDeterminant: tf.zeros(labels.shape) }),
      decode: (noise) => noise,
      denoise: (noisy) => noisy,
    },
  });
  for (
    const [teacher, message] of [
      [teacherOf((data) => tf.mul(data, 0) as never), "has no inverse"],
      [teacherOf((data) => tf.log(tf.sub(data, 5)) as never), "not finite"],
    ] as const
  ) {
    const inputs = { dataset: smallSet(), teacher, rng: createRng(1), flips: false };
    const error = await assertRejects(() => normalizingFlow.build(inputs, options), Problem, message);
    assertEquals(error.exitCode, 70);
  }
});

Deno.test("whitening: class refuses images whose covariances would not fit in memory, before it encodes any", async () => {
  const dataset = { ...smallSet(), shape: [3, 64, 64] as const };
  const unused = () => assert(false, "encoded") as never;
  const teacher: Teacher = { noiseStd: 0.1, flow: { encode: unused, decode: unused, denoise: unused } };
  await assertRejects(
    () => normalizingFlow.build({ dataset, teacher, rng: createRng(1), flips: false }, options),
    Problem,
    "Cannot whiten 3 classes of 12288 dimensions",
  );
});

Deno.test("whitening: class does not go with σ_f, nor with a teacher that sees ∅", () => {
  const parse = (rest: object) => normalizingFlow.options.parse({ whitening: "class", ...rest });
  assertThrows(() => parse({}), Error, "sigma: none beside it");
  assertThrows(() => parse({ sigma: "none", teacherLabel: "student" }), Error, "teacherLabel: datum beside it");
});
