import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { assign } from "../../lib/couplings/assignment.ts";
import { type Features, mirrorInPlace, noiseRows } from "../../lib/couplings/features.ts";
import { chunkSizeFor, loadPoints, placePotential, pointsInMemory } from "../../lib/couplings/point_set.ts";
import { softShares } from "../../lib/couplings/soft_assignment.ts";
import { tf } from "../../lib/engine/mod.ts";
import { testOnEngines } from "../engines.ts";

const size = 40, shape = [2, 2, 3] as const, dimension = 12;
const points = createRng(1).normal(size * dimension);
/** With g = −‖y‖²/2 the chosen point is the nearest. */
const nearest = Float64Array.from({ length: size }, (_, j) => {
  const point = points.subarray(j * dimension, (j + 1) * dimension);
  return -point.reduce((sum, y) => sum + y * y, 0) / 2;
});

async function assigned(features: Features, noise: Float32Array, options: {
  chunkSize?: number;
  padded?: number;
  points?: Float32Array;
  potential?: Float64Array;
} = {}) {
  const set = await loadPoints(pointsInMemory(options.points ?? points, dimension), features, options.chunkSize);
  const potential = placePotential(set, options.potential ?? nearest);
  const rows = noiseRows(features, noise, undefined, options.padded);
  const result = await assign(set, potential, rows, noise.length / dimension);
  tf.dispose([rows, ...potential]);
  set.dispose();
  return result;
}

function mirrorRows(rows: Float32Array): Float32Array {
  const mirrored = rows.slice();
  mirrorInPlace(mirrored, shape[2]);
  return mirrored;
}

testOnEngines("assign recovers a permutation, each point once, in several chunks as in one", async () => {
  const order = createRng(2).permutation(size), noise = new Float32Array(points.length);
  order.forEach((j, i) => noise.set(points.subarray(j * dimension, (j + 1) * dimension), i * dimension));
  const before = tf.memory().numTensors;
  for (const chunkSize of [40, 64, 16, 7]) {
    const { index, mirrored } = await assigned({ dimension }, noise, { chunkSize, padded: 48 });
    assertEquals(index, order);
    assertEquals(mirrored, new Uint8Array(size));
  }
  assertEquals(tf.memory().numTensors, before);
});

testOnEngines("assign tells a mirror image, as if it were a point of its own", async () => {
  const features = { dimension, mirror: shape };
  const turned = await assigned(features, mirrorRows(points), { padded: 44, chunkSize: 16 });
  assertEquals(turned.index, Int32Array.from({ length: size }, (_, i) => i));
  assertEquals(turned.mirrored, new Uint8Array(size).fill(1));

  const noise = createRng(3).normal(500 * dimension);
  const both = Float32Array.of(...points, ...mirrorRows(points));
  const twice = await assigned({ dimension }, noise, {
    points: both,
    potential: Float64Array.of(...nearest, ...nearest),
  });
  const shown = await assigned(features, noise);
  assertEquals(shown.index, twice.index.map((j) => j % size));
  assertEquals(shown.mirrored, Uint8Array.from(twice.index, (j) => j < size ? 0 : 1));
});

testOnEngines("assign adds β where labels agree: a great one decides, none leaves them out", async () => {
  const labels = Int32Array.from({ length: size }, (_, j) => j % 4), noise = createRng(4).normal(200 * dimension);
  const noiseLabels = createRng(5).integers(200, 4);
  const agreement = async (cost: number) => {
    const features = { dimension, label: { classes: 4, cost } };
    const set = await loadPoints(pointsInMemory(points, dimension, { labels }), features, 16);
    const potential = placePotential(set, nearest), rows = noiseRows(features, noise, noiseLabels);
    const { index } = await assign(set, potential, rows);
    tf.dispose([rows, ...potential]);
    set.dispose();
    return { index, share: index.filter((j, i) => labels[j] === noiseLabels[i]).length / 200 };
  };
  const [none, some, much] = [await agreement(0), await agreement(4), await agreement(1e4)];
  assertEquals(none.index, (await assigned({ dimension }, noise)).index);
  assert(none.share < some.share && some.share < 1, `${none.share} ${some.share}`);
  assertEquals(much.share, 1);
});

testOnEngines(
  "softShares is the mean softmax over points and mirror images, in several chunks as in one, kept and computed twice",
  async () => {
    const features = { dimension, mirror: shape }, samples = 30, epsilon = 0.7;
    const noise = createRng(6).normal(samples * dimension), turned = mirrorRows(noise);
    const expected = new Float64Array(size);
    for (let i = 0; i < samples; i++) {
      const weights = [noise, turned].map((rows) =>
        Array.from(nearest, (g, j) => {
          let score = g;
          for (let k = 0; k < dimension; k++) score += rows[i * dimension + k]! * points[j * dimension + k]!;
          return Math.exp(score / epsilon);
        })
      );
      const total = weights.flat().reduce((a, b) => a + b);
      weights.forEach((view) => view.forEach((weight, j) => expected[j]! += weight / total / samples));
    }
    const before = tf.memory().numTensors;
    for (const [chunkSize, keptBytes] of [[40], [16], [16, 0]] as const) {
      const set = await loadPoints(pointsInMemory(points, dimension), features, chunkSize);
      const potential = placePotential(set, nearest), rows = noiseRows(features, noise);
      const shares = await softShares(set, potential, { rows }, epsilon, { keptBytes });
      expected.forEach((share, j) => assertAlmostEquals(shares[j]!, share, 1e-5));
      tf.dispose([rows, ...potential]);
      set.dispose();
    }
    assertEquals(tf.memory().numTensors, before);
  },
);

Deno.test("chunkSizeFor holds all points in as few chunks as 8192 points need, nearly full, at no multiple of 1024", () => {
  for (const size of [1, 42, 1023, 1024, 6000, 8192, 8193, 10_000, 16_384, 60_000, 1_281_167]) {
    const chunkSize = chunkSizeFor(size), chunks = Math.ceil(size / chunkSize);
    assertEquals(chunks, Math.ceil(size / 8192));
    assert(chunkSize % 1024 !== 0 && chunkSize * chunks - size <= 32 * chunks, `${size}: ${chunkSize}`);
  }
});
