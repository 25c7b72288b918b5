import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { hashOf } from "../../lib/core/hash.ts";
import { createRng } from "../../lib/core/rng.ts";
import { normalizingFlow } from "../../lib/couplings/mod.ts";
import type { Pairs, Teacher } from "../../lib/couplings/types.ts";
import { tf, withProducts } from "../../lib/engine/mod.ts";
import { testOnEngines } from "../engines.ts";
import { greatest, momentsOf, randomTeacher, smallSet } from "./small_set.ts";

const dataset = smallSet(), dimension = 16;
type Options = Parameters<typeof normalizingFlow.options.parse>[0];
const build = (teacher: Teacher, options: Options, flips = false) =>
  normalizingFlow.build({ dataset, teacher, rng: createRng(1), flips }, normalizingFlow.options.parse(options));

async function bytesOf({ noise, data, labels, index }: Pairs) {
  const values = {
    noise: await noise.data<"float32">(),
    data: await data.data<"float32">(),
    labels: await labels.data<"int32">(),
    index,
  };
  tf.dispose([noise, data, labels]);
  return values;
}

/** f(rows, labels), read back. */
async function encode({ flow }: Teacher, rows: Float32Array, labels: Int32Array): Promise<Float32Array> {
  const noise = tf.tidy(() =>
    flow.encode(tf.tensor4d(rows, [labels.length, 1, 4, 4]), tf.tensor1d(labels, "int32")).noise
  );
  const values = await noise.data<"float32">();
  noise.dispose();
  return values;
}

Deno.test("normalizingFlow asks for a teacher", async () => {
  const inputs = { dataset, rng: createRng(1), flips: false };
  await assertRejects(() => normalizingFlow.build(inputs, normalizingFlow.options.parse({})), Problem, "no teacher");
});

testOnEngines("normalizingFlow divides by σ_f of paper §3.2, per dimension or as one number", async () => {
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
    const coupling = await build(teacher, { sigma: kind });
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

testOnEngines("normalizingFlow pairs the clean image with the encoding of a freshly noised one", async () => {
  const teacher = randomTeacher(0.1), coupling = await build(teacher, { sigma: "none" });
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

testOnEngines(
  "normalizingFlow's defaults are f(x + ηε′, c) / σ_f under fixed keys, to the last bit",
  async () => {
    // The digests are of what no engine computes: they hold everywhere, and for students trained before.
    const golden = { false: "dc67956b7b4cbf65", true: "a53940ca42df4dd6" };
    for (const flips of [false, true]) {
      const teacher = randomTeacher(), coupling = await build(teacher, {}, flips);
      const rng = createRng(2), { noise, data, labels, index } = await bytesOf(await coupling.sample(64, rng));
      assertEquals(hashOf([[...data], [...labels], [...index]]).slice(0, 16), golden[`${flips}`]);
      const draws = rng.fork("teacherNoise").normal(data.length);
      const encoded = await encode(teacher, data.map((value, i) => value + 0.1 * draws[i]!), labels);
      assertEquals(noise, encoded.map((value, i) => value / coupling.sigma![i % dimension]!));
      coupling.dispose();
      teacher.dispose();
    }
  },
);

testOnEngines(
  "normalizingFlow with draws: K has K noises an image and orientation, kept for good",
  async () => {
    const teacher = randomTeacher();
    for (const flips of [false, true]) {
      const coupling = await build(teacher, { draws: 3 }, flips), again = await build(teacher, { draws: 3 }, flips);
      const sets = new Map<string, Set<string>>();
      const seen = new Map<string, Set<string>>();
      for (const [key, one] of [[5, coupling], [6, again]] as const) {
        const { noise, data, index } = await bytesOf(await one.sample(4096, createRng(key)));
        index.forEach((row, i) => {
          const at = (values: Float32Array) => values.subarray(i * dimension, (i + 1) * dimension).join();
          const image = `${row} ${at(data)}`, z = at(noise);
          sets.set(image, (sets.get(image) ?? new Set()).add(z));
          seen.set(z, (seen.get(z) ?? new Set()).add(image));
        });
      }
      // 8192 draws of 42 images (84 with their mirror images) leave none out of three unseen but by a chance of 1e-15.
      assertEquals([...sets.values()].map(({ size }) => size), Array(flips ? 84 : 42).fill(3));
      assert([...seen.values()].every(({ size }) => size === 1));
      coupling.dispose();
      again.dispose();
    }
    teacher.dispose();
  },
);

testOnEngines(
  "normalizingFlow with endpoint: noised pairs z with the very x + ηε′ that it encodes",
  async () => {
    const teacher = randomTeacher();
    for (const draws of ["fresh", 2] as const) {
      const clean = await build(teacher, { draws }), noised = await build(teacher, { draws, endpoint: "noised" });
      const before = await bytesOf(await clean.sample(64, createRng(2)));
      const after = await bytesOf(await noised.sample(64, createRng(2)));
      assertEquals([after.noise, after.labels, after.index], [before.noise, before.labels, before.index]);
      const encoded = await encode(teacher, after.data, after.labels);
      assertEquals(after.noise, encoded.map((value, i) => value / noised.sigma![i % dimension]!));
      const { variance } = momentsOf(after.data.map((value, i) => (value - before.data[i]!) / 0.1), 1);
      assert(Math.abs(variance[0]! - 1) < 5 * Math.sqrt(2 / (64 * dimension)), `variance ${variance}`);
      clean.dispose();
      noised.dispose();
    }
    teacher.dispose();
  },
);

testOnEngines(
  "normalizingFlow with teacherLabel: student encodes with ∅ where the label is dropped",
  async () => {
    const teacher = randomTeacher();
    const own = await build(teacher, { endpoint: "noised" });
    const shared = await build(teacher, { endpoint: "noised", teacherLabel: "student" });
    const dropped = Uint8Array.from({ length: 40 }, (_, i) => i % 3 === 0 ? 1 : 0);
    const plain = await bytesOf(await own.sample(40, createRng(2), dropped));
    const student = await bytesOf(await shared.sample(40, createRng(2), dropped));
    assertEquals([student.labels, student.index, student.data], [plain.labels, plain.index, plain.data]);
    assertEquals((await bytesOf(await shared.sample(40, createRng(2)))).noise, plain.noise);
    const blind = (await encode(teacher, plain.data, new Int32Array(40).fill(-1)))
      .map((value, i) => value / own.sigma![i % dimension]!);
    dropped.forEach((drop, i) => {
      const at = (values: Float32Array) => values.subarray(i * dimension, (i + 1) * dimension);
      const [got, expected, other] = [student.noise, ...(drop ? [blind, plain.noise] : [plain.noise, blind])].map(at);
      assert(greatest(got!.map((value, k) => value - expected![k]!)) < 1e-6, `row ${i}`);
      assert(greatest(got!.map((value, k) => value - other![k]!)) > 1e-3, `row ${i} is the same with ∅`);
    });
    for (const coupling of [own, shared]) coupling.dispose();
    teacher.dispose();
  },
);

testOnEngines(
  "normalizingFlow with products: bfloat16 encodes so, σ_f too; the embedded engine has none",
  async (engine) => {
    const teacher = randomTeacher();
    if (engine === "wasm") {
      await assertRejects(() => build(teacher, { products: "bfloat16" }), Problem, "products: float32");
      teacher.dispose();
      return;
    }
    const before = tf.memory().numTensors;
    const exact = await build(teacher, {}), short = await build(teacher, { products: "bfloat16" });
    const [one, other] = [
      await bytesOf(await exact.sample(64, createRng(2))),
      await bytesOf(await short.sample(64, createRng(2))),
    ];
    assertEquals([other.data, other.labels, other.index], [one.data, one.labels, one.index]);
    const rows = await build(teacher, { products: "bfloat16", endpoint: "noised" });
    const { noise, data, labels } = await bytesOf(await rows.sample(64, createRng(2)));
    assertEquals(noise, other.noise);
    const encoded = await withProducts("bfloat16", () => encode(teacher, data, labels));
    assertEquals(noise, encoded.map((value, i) => value / short.sigma![i % dimension]!));
    // Each of some ten products rounds its factors to 8 bits.
    const apart = greatest(one.noise.map((z, i) => z - other.noise[i]!));
    assert(apart > 1e-5 && apart < 0.1, `${apart}`);
    assert(short.sigma!.some((sigma, i) => sigma !== exact.sigma![i]));
    for (const coupling of [exact, short, rows]) coupling.dispose();
    assertEquals(tf.memory().numTensors, before);
    teacher.dispose();
  },
);

testOnEngines("normalizingFlow refuses a teacher whose noise is not finite", async () => {
  const broken: Teacher = {
    noiseStd: 0.1,
    flow: {
      ...randomFlow,
      encode: (data, labels) => ({ noise: tf.log(tf.sub(data, 5)), logDeterminant: tf.zeros(labels.shape) }),
    },
  };
  const error = await assertRejects(() => build(broken, {}), Problem, "not finite");
  assertEquals(error.exitCode, 70);
});

const randomFlow = { decode: (noise: unknown) => noise as never, denoise: (noisy: unknown) => noisy as never };

testOnEngines("a pool gives the pairs of kept draws without running the teacher again", async () => {
  const teacher = randomTeacher(0.1);
  let encoded = 0;
  const flow: typeof teacher.flow = {
    ...teacher.flow,
    encode(data, labels) {
      encoded += data.shape[0]!;
      return teacher.flow.encode(data, labels);
    },
  };
  for (const flips of [false, true]) {
    const again = await build(teacher, { draws: 3 }, flips), before = tf.memory().numTensors;
    encoded = 0;
    const pool = await build({ ...teacher, flow }, { draws: 3, pool: true }, flips);
    // σ_f takes every image once.
    assertEquals(encoded, dataset.size * (1 + 3 * (flips ? 2 : 1)));
    const [one, other] = [
      await bytesOf(await again.sample(64, createRng(3))),
      await bytesOf(await pool.sample(64, createRng(3))),
    ];
    assertEquals(encoded, dataset.size * (1 + 3 * (flips ? 2 : 1)));
    assertEquals([other.data, other.labels, other.index], [one.data, one.labels, one.index]);
    assert(greatest(one.noise.map((z, i) => z - other.noise[i]!)) < 1e-5);
    pool.dispose();
    assertEquals(tf.memory().numTensors, before);
    again.dispose();
  }
  teacher.dispose();
});

Deno.test("a pool asks for draws that can be kept, and for the datum's label", () => {
  for (const options of [{ pool: true }, { draws: 2, pool: true, teacherLabel: "student" }]) {
    const { error } = normalizingFlow.options.safeParse(options);
    assertEquals(error?.issues.map(({ path }) => path), [["pool"]]);
  }
});
