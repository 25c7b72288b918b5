import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { chiSquared } from "../../lib/couplings/chi_squared.ts";
import { type Features, noiseRows } from "../../lib/couplings/features.ts";
import { measureMasses } from "../../lib/couplings/masses.ts";
import { loadPoints, pointsInMemory } from "../../lib/couplings/point_set.ts";
import { fitPotentials } from "../../lib/couplings/potential.ts";
import { tf } from "../../lib/engine/mod.ts";
import { fill } from "../golden/fill.ts";
import golden from "../golden/semidiscrete.json" with { type: "json" };
import { testOnEngines } from "../engines.ts";
import { gaussianCells } from "./gaussian_cells.ts";
import { greatest } from "./small_set.ts";

/** The potential of Gaussian noise against points in memory. */
async function fit(points: Float32Array, dimension: number, settings: {
  weights?: number[];
  chiSquared?: number;
  maxDrawsPerPoint?: number;
  batchSize?: number;
  seed?: number;
  chunkSize?: number;
}) {
  const { weights, chunkSize, batchSize = 512 } = settings, features: Features = { dimension };
  const set = await loadPoints(pointsInMemory(points, dimension, weights && { weights }), features, chunkSize);
  const options = {
    chiSquared: settings.chiSquared ?? 1e-4,
    batchSize,
    maxDrawsPerPoint: settings.maxDrawsPerPoint ?? 1e6,
  };
  const source = gaussian(features);
  const [result] = await fitPotentials([set], source, options, createRng(settings.seed ?? 1));
  set.dispose();
  return result!;
}

const gaussian = (features: Features) => (count: number, rng: ReturnType<typeof createRng>) =>
  noiseRows(features, rng.normal(count * features.dimension));

testOnEngines("fitPotentials gives the reference's potential, masses and transport cost", async () => {
  const { points: { name, shape, scale, offset } } = golden;
  const points = fill(name, shape, scale, offset), before = tf.memory().numTensors;
  const { potential, converged } = await fit(points, 2, {});
  assertEquals(tf.memory().numTensors, before);
  assert(converged);
  golden.potential_centred.forEach((g, j) => assertAlmostEquals(potential[j]!, g, 0.02));
  const { masses, cost } = gaussianCells(points, 2, potential);
  golden.masses.forEach((mass, j) => assertAlmostEquals(masses[j]!, mass, 0.005));
  assertAlmostEquals(cost, golden.transport_cost, 0.005);
});

testOnEngines("fitPotentials gives each point its weight, and none to a point of weight 0", async () => {
  for (const [size, dimension, seed] of [[12, 2, 2], [7, 1, 3]] as const) {
    const rng = createRng(seed), points = rng.fork("points").normal(size * dimension).map((y) => 2 * y + 0.5);
    const raw = rng.fork("weights").uniform(size).map((u, j) => j === 3 ? 0 : 0.1 + u);
    const total = raw.reduce((a, b) => a + b), weights = [...raw].map((w) => w / total);
    const { potential, converged } = await fit(points, dimension, { weights, chiSquared: 5e-4, seed });
    assert(converged);
    const { masses } = gaussianCells(points, dimension, potential);
    weights.forEach((weight, j) => assertAlmostEquals(masses[j]!, weight, 0.01));
    assertEquals(masses[3], 0);
  }
});

testOnEngines("fitPotentials finds the quantiles of N(0, 1) on a line, whatever the scale", async () => {
  // Between neighbours y_j < y_{j+1} the boundary is x = (g_j − g_{j+1}) / (y_{j+1} − y_j): for four
  // points of equal weight these are the quartiles.
  for (const scale of [0.01, 1, 1000]) {
    const points = Float32Array.from([-3, -0.5, 0.1, 4], (y) => scale * y);
    const { potential } = await fit(points, 1, {});
    [-0.67449, 0, 0.67449].forEach((quantile, j) => {
      const boundary = (potential[j]! - potential[j + 1]!) / (points[j + 1]! - points[j]!);
      assertAlmostEquals(boundary, quantile, 0.03);
    });
  }
});

testOnEngines("fitPotentials does the same in several chunks as in one", async () => {
  const points = createRng(4).normal(50 * 3), settings = { chiSquared: 0.05, seed: 4 };
  const whole = await fit(points, 3, settings), parts = await fit(points, 3, { ...settings, chunkSize: 16 });
  assertEquals([parts.iterations, parts.converged], [whole.iterations, true]);
  assert(greatest(parts.potential.map((g, j) => g - whole.potential[j]!)) < 1e-4);
});

testOnEngines("fitPotentials takes hardly more draws than it must where a step has few for many points", async () => {
  const size = 480, points = createRng(8).normal(size * 16), batchSize = 4;
  const { iterations, converged } = await fit(points, 16, { chiSquared: 0.05, batchSize });
  assert(converged);
  // With n draws a point χ² is at least about 1/n, and 0.04 is asked for.
  const drawsPerPoint = iterations * batchSize / size;
  assert(drawsPerPoint < 35, `${drawsPerPoint}`);
});

testOnEngines(
  "fitPotentials fits independent noise where its own came in groups, with and without mirror images",
  async () => {
    const dimension = 64, points = createRng(6).normal(60 * dimension);
    for (const features of [{ dimension }, { dimension, mirror: [1, 8, 8] as const }]) {
      const before = tf.memory().numTensors;
      const sets = [await loadPoints(pointsInMemory(points, dimension), features)];
      const options = { chiSquared: 0.02, batchSize: 512, maxDrawsPerPoint: 1000 };
      const [result] = await fitPotentials(sets, gaussian(features), options, createRng(6));
      const transport = { points: sets[0]!, potential: result!.potential };
      const [masses] = await measureMasses([transport], gaussian(features), 20_000, createRng(7));
      assert(result!.converged && masses!.chiSquared < 0.02, `χ² ${masses!.chiSquared}`);
      sets[0]!.dispose();
      assertEquals(tf.memory().numTensors, before);
    }
  },
);

testOnEngines("fitPotentials says so when its draws run out", async () => {
  const points = createRng(5).normal(64 * 8);
  const { converged, chiSquared } = await fit(points, 8, { chiSquared: 1e-3, maxDrawsPerPoint: 2 });
  assert(!converged);
  assert(chiSquared > 1e-3);
});

testOnEngines("chiSquared is unbiased: its mean over small samples is Σ p²/b − 1", async () => {
  const points = Float32Array.of(-1, 0.2, 1, 2), potential = [0, 0.3, -0.2, -1.5], weights = [0.1, 0.4, 0.2, 0.3];
  const features: Features = { dimension: 1 };
  const { masses } = gaussianCells(points, 1, potential);
  const truth = masses.reduce((sum, p, j) => sum + p * p / weights[j]!, 0) - 1;
  assert(truth > 0.02);
  const set = await loadPoints(pointsInMemory(points, 1, { weights }), features);
  const estimates: number[] = [];
  for (let k = 0; k < 800; k++) {
    const [measured] = await measureMasses([{ points: set, potential }], gaussian(features), 20, createRng(k));
    assertEquals(measured!.chiSquared, chiSquared(measured!.hits, weights));
    estimates.push(measured!.chiSquared);
  }
  set.dispose();
  const mean = estimates.reduce((a, b) => a + b) / estimates.length;
  const variance = estimates.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (estimates.length - 1);
  assert(Math.abs(mean - truth) < 5 * Math.sqrt(variance / estimates.length), `${mean} against ${truth}`);
});
