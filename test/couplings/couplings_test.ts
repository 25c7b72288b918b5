import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import * as couplings from "../../lib/couplings/mod.ts";
import type { Coupling, CouplingInputs, CouplingKind, Pairs } from "../../lib/couplings/types.ts";
import { tf } from "../../lib/engine/mod.ts";
import { testOnEngines } from "../engines.ts";
import { greatest, momentsOf, randomTeacher, smallSet } from "./small_set.ts";

const dataset = smallSet();
const draws = 8192, dimension = 16;
/** Options under which sampling error, not the fit's, decides. */
const precise: Record<string, unknown> = { semidiscrete: { chiSquared: 0.002, maxDrawsPerPoint: 5000 } };
const registry = Object.entries(couplings) as unknown as [string, CouplingKind][];

async function withCoupling(
  kind: CouplingKind,
  inputs: Partial<CouplingInputs>,
  use: (coupling: Coupling) => Promise<void>,
  options: unknown = {},
) {
  const teacher = randomTeacher();
  const coupling = await kind.build(
    { dataset, teacher, rng: createRng(1), flips: false, ...inputs },
    kind.options.parse(options),
  );
  await use(coupling);
  coupling.dispose();
  teacher.dispose();
}

async function bytesOf({ noise, data, labels, index }: Pairs) {
  const values = { noise: await noise.data<"float32">(), data: await data.data(), labels: await labels.data(), index };
  tf.dispose([noise, data, labels]);
  return values;
}

/** 1 where row i is the mirrored image `index[i]`, 0 where it is the image itself; anything else fails. */
async function mirroredRows(data: ArrayLike<number>, index: Int32Array): Promise<number[]> {
  const plain = await dataset.gather(index), turned = await dataset.gather(index, new Uint8Array(index.length).fill(1));
  return Array.from(index, (_, i) => {
    const row = Array.from({ length: dimension }, (_, k) => data[i * dimension + k]!);
    const same = (rows: Float32Array) => row.every((value, k) => value === rows[i * dimension + k]);
    assert(same(plain.data) || same(turned.data), `row ${i} is not image ${index[i]}`);
    return same(plain.data) ? 0 : 1;
  });
}

/** The variance of each column among rows of the same image, averaged over rows. */
function varianceWithin(values: Float32Array, index: Int32Array): Float64Array {
  const sums = new Float64Array(dimension);
  for (let image = 0; image < dataset.size; image++) {
    const rows = [...index.keys()].filter((i) => index[i] === image);
    const own = Float32Array.from(rows.flatMap((i) => [...values.subarray(i * dimension, (i + 1) * dimension)]));
    momentsOf(own, dimension).variance.forEach((value, k) => sums[k]! += value * rows.length / index.length);
  }
  return sums;
}

for (const [name, kind] of registry) {
  testOnEngines(`${name}: both marginals are right, and rows stay together`, async () => {
    await withCoupling(kind, {}, async (coupling) => {
      const pairs = await coupling.sample(draws, createRng(2));
      assertEquals(pairs.noise.shape, [draws, 1, 4, 4]);
      assertEquals(pairs.data.shape, [draws, 1, 4, 4]);
      assertEquals([pairs.labels.shape, pairs.labels.dtype as string], [[draws], "int32"]);
      const { noise, data, labels, index } = await bytesOf(pairs);
      const { mean, variance, greatestCovariance } = momentsOf(noise, dimension);
      const error = 1 / Math.sqrt(draws);
      if (name === "normalizingFlow") {
        // A flow's noise is Gaussian as far as it was trained; σ_f makes E z² = 1 whatever it is,
        // up to the error of these draws and of the one draw of ε′ an image that σ_f comes from.
        const squares = noise.map((z) => z ** 2), { mean, variance } = momentsOf(squares, dimension);
        const within = varianceWithin(squares, index);
        mean.forEach((square, k) => {
          const error = Math.sqrt(variance[k]! / draws + within[k]! / dataset.size);
          assert(Math.abs(square - 1) < 5 * error, `E z² ${square} in dimension ${k}, standard error ${error}`);
        });
      } else {
        assert(greatest(mean) < 5 * error, `mean ${mean}`);
        assert(greatest(variance.map((v) => v - 1)) < 5 * Math.SQRT2 * error, `variance ${variance}`);
        assert(greatestCovariance < 5 * error, `covariance ${greatestCovariance}`);
      }
      const hits = new Float64Array(dataset.size), expected = draws / dataset.size;
      index.forEach((row) => hits[row]!++);
      assert(greatest(hits.map((hit) => hit - expected)) < 5 * Math.sqrt(expected), `hits ${hits}`);
      assertEquals(Array.from(labels), Array.from(index, (row) => dataset.labels[row]!));
      assertEquals(greatest(await mirroredRows(data, index)), 0);
    }, precise[name]);
  });

  testOnEngines(`${name}: with flips, half of the images are mirrored`, async () => {
    await withCoupling(kind, { flips: true }, async (coupling) => {
      const { data, index } = await bytesOf(await coupling.sample(draws, createRng(2)));
      const mirrored = await mirroredRows(data, index);
      const share = mirrored.reduce((sum, one) => sum + one, 0) / draws;
      assert(Math.abs(share - 0.5) < 2.5 / Math.sqrt(draws), `share ${share}`);
      const hits = new Float64Array(2 * dataset.size), expected = draws / hits.length;
      index.forEach((row, i) => hits[2 * row + mirrored[i]!]!++);
      assert(greatest(hits.map((hit) => hit - expected)) < 5 * Math.sqrt(expected), `hits ${hits}`);
    }, precise[name]);
  });

  testOnEngines(`${name}: batches drawn together are those drawn one by one`, async () => {
    await withCoupling(kind, { flips: true }, async (coupling) => {
      const keys = [5, 6, 7].map(createRng), before = tf.memory().numTensors;
      const together = await coupling.sampleEach?.(40, keys) ?? [];
      assertEquals(together.length, name === "semidiscrete" ? 3 : 0);
      for (const [i, pairs] of together.entries()) {
        assertEquals(await bytesOf(pairs), await bytesOf(await coupling.sample(40, keys[i]!)));
      }
      assertEquals(tf.memory().numTensors, before);
    });
  });

  testOnEngines(
    `${name}: the same key gives the same bytes, another key others, and nothing leaks`,
    async () => {
      const round = async (seed: number) => {
        const pairs: Awaited<ReturnType<typeof bytesOf>>[] = [];
        await withCoupling(kind, { rng: createRng(seed) }, async (coupling) => {
          for (const key of [5, 6, 5]) pairs.push(await bytesOf(await coupling.sample(10, createRng(key))));
        });
        return pairs;
      };
      const [first, other, again] = await round(1);
      assertEquals(first, again);
      assertNotEquals(first!.noise, other!.noise);
      assertNotEquals(first!.index, other!.index);
      const before = tf.memory().numTensors;
      assertEquals(await round(1), [first, other, again]);
      assertEquals(tf.memory().numTensors, before);
    },
  );

  testOnEngines(`${name}: what is fitted is kept, and made again when the file is damaged`, async () => {
    const cacheDir = await Deno.makeTempDir();
    const facts: Coupling["facts"][] = [], noise: unknown[] = [];
    let progress = 0;
    const round = () =>
      withCoupling(kind, { cacheDir, onProgress: () => progress++ }, async (coupling) => {
        facts.push(coupling.facts);
        noise.push(await bytesOf(await coupling.sample(10, createRng(7))));
      });
    await round();
    const files = [...Deno.readDirSync(cacheDir)].map((entry) => `${cacheDir}/${entry.name}`);
    // Who has something to fit says how far the fit is; who has not keeps nothing.
    assertEquals(files.length, progress > 0 ? 1 : 0);
    progress = 0;
    await round();
    assertEquals(progress, 0);
    for (const file of files) {
      const text = Deno.readTextFileSync(file), at = text.lastIndexOf("facts") - 6;
      Deno.writeTextFileSync(file, text.slice(0, at) + (text[at] === "1" ? "2" : "1") + text.slice(at + 1));
    }
    await round();
    if (files.length > 0) assert(progress > 0);
    assertEquals([facts[1], facts[2]], [facts[0], facts[0]]);
    assertEquals([noise[1], noise[2]], [noise[0], noise[0]]);
    await Deno.remove(cacheDir, { recursive: true });
  });
}
