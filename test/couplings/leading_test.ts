import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { type Features, mirrorInPlace, noiseRows, viewsOf, widthOf } from "../../lib/couplings/features.ts";
import { drawGroups, groupingOf, type Leading, leadingDirections } from "../../lib/couplings/leading.ts";
import type { NoiseSource } from "../../lib/couplings/masses.ts";
import { loadPoints, placePotential, pointsInMemory } from "../../lib/couplings/point_set.ts";
import { type GroupedNoise, softShares } from "../../lib/couplings/soft_assignment.ts";
import { type Tensor, tf } from "../../lib/engine/mod.ts";
import { testOnEngines } from "../engines.ts";
import { greatest, momentsOf } from "./small_set.ts";

const shape = [1, 8, 8] as const, dimension = 64, count = 16;
const kinds: Record<string, Features> = {
  plain: { dimension },
  mirrored: { dimension, mirror: shape },
  labelled: { dimension, label: { classes: 3, cost: 4 } },
};

async function loaded(features: Features, size: number, chunkSize = size) {
  // The first coordinates spread most, and less and less.
  const points = createRng(1).normal(size * dimension).map((y, i) => y * 3 * 0.9 ** (i % dimension));
  const labels = Int32Array.from({ length: size }, (_, j) => j % 3);
  return await loadPoints(pointsInMemory(points, dimension, { labels }), features, chunkSize);
}

const sourceOf = (features: Features): NoiseSource => (size, rng) =>
  noiseRows(features, rng.fork("noise").normal(size * dimension), rng.fork("label").integers(size, 3));

/** Every sample's rows as they would be without groups, `[samples · views, width]`. */
function composed({ rows, coordinates }: GroupedNoise, { directions }: Leading, features: Features): Tensor {
  return tf.tidy(() => {
    const views = viewsOf(features), width = widthOf(features);
    const along = tf.matMul(coordinates!, directions, false, true).reshape([rows.shape[0]! / views, -1, views, width]);
    return tf.add(along, rows.reshape([-1, 1, views, width])).reshape([-1, width]);
  });
}

testOnEngines("leadingDirections are orthonormal, without labels, even and odd, whatever the points", async () => {
  const before = tf.memory().numTensors;
  for (const features of Object.values(kinds)) {
    for (const [size, chunkSize] of [[50, 50], [50, 20], [3, 3], [1, 1]] as const) {
      const set = await loaded(features, size, chunkSize), width = widthOf(features);
      const leading = await leadingDirections([set], count, createRng(2)), values = await leading.directions.data();
      const column = (c: number) => Float64Array.from({ length: width }, (_, k) => values[k * count + c]!);
      const columns = Array.from({ length: count }, (_, c) => column(c));
      const inner = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, k) => sum + value * b[k]!, 0);
      columns.forEach((a, i) => columns.forEach((b, j) => assertAlmostEquals(inner(a, b), i === j ? 1 : 0, 1e-5)));
      columns.forEach((values, c) => {
        assertEquals(greatest(values.slice(dimension)), 0);
        if (!features.mirror) return;
        const mirrored = values.slice(), sign = c < count / 2 ? 1 : -1;
        mirrorInPlace(mirrored, shape[2]);
        assert(greatest(mirrored.map((value, k) => value - sign * values[k]!)) < 1e-5);
      });
      assertEquals(leading.ofPoints[0]!.map(({ shape }) => shape), set.chunks.map(() => [count, chunkSize]));
      leading.dispose();
      set.dispose();
    }
  }
  assertEquals(tf.memory().numTensors, before);
});

testOnEngines("leadingDirections are those along which points spread most", async () => {
  const size = 400,
    points = createRng(3).normal(size * dimension).map((y, i) => i % dimension < count ? 3 * y : y / 10);
  const set = await loadPoints(pointsInMemory(points, dimension), kinds.plain!);
  const leading = await leadingDirections([set], count, createRng(4)), values = await leading.directions.data();
  const share = Array.from(values.slice(0, count * count)).reduce((sum, value) => sum + value ** 2, 0) / count;
  assert(share > 0.999, `${share}`);
  leading.dispose();
  set.dispose();
});

testOnEngines("noise in groups is N(0, I), and in the mirror its mirror image", async () => {
  for (const features of Object.values(kinds)) {
    const set = await loaded(features, 50), views = viewsOf(features), width = widthOf(features);
    const leading = await leadingDirections([set], count, createRng(5)), samples = 32768;
    const grouping = groupingOf(features, samples);
    assertEquals(grouping, { groups: samples / 8, size: 8, directions: count });
    const noise = drawGroups(sourceOf(features), features, grouping, leading, createRng(6));
    const all = composed(noise, leading, features);
    const values = await all.data(), first = new Float32Array(samples * dimension);
    for (let i = 0; i < samples; i++) {
      const row = values.slice(i * views * width, i * views * width + dimension);
      first.set(row, i * dimension);
      if (views === 1 || i > 50) continue;
      mirrorInPlace(row as Float32Array, shape[2]);
      const second = values.slice((i * views + 1) * width, (i * views + 1) * width + dimension);
      assert(greatest(second.map((value, k) => value - row[k]!)) < 1e-4);
    }
    const { mean, variance, greatestCovariance } = momentsOf(first, dimension);
    assert(greatest(mean) < 0.08 && greatest(variance.map((value) => value - 1)) < 0.11, `${mean} ${variance}`);
    assert(greatestCovariance < 0.09, `${greatestCovariance}`);
    tf.dispose([all, { ...noise }]);
    leading.dispose();
    set.dispose();
  }
});

testOnEngines("softShares of noise in groups are those of its samples one by one", async () => {
  const before = tf.memory().numTensors;
  for (const features of Object.values(kinds)) {
    for (const [chunkSize, keptBytes] of [[40], [16], [16, 0]] as const) {
      const set = await loaded(features, 40, chunkSize), potential = placePotential(set, createRng(7).normal(40));
      const leading = await leadingDirections([set], count, createRng(8));
      const noise = drawGroups(sourceOf(features), features, groupingOf(features, 60), leading, createRng(9));
      const all = composed(noise, leading, features);
      const shares = await softShares(set, potential, noise, 0.7, { ofPoints: leading.ofPoints[0], keptBytes });
      const expected = await softShares(set, potential, { rows: all }, 0.7, { keptBytes });
      shares.forEach((share, j) => assertAlmostEquals(share, expected[j]!, 1e-5));
      assertAlmostEquals(shares.reduce((a, b) => a + b), 1, 1e-5);
      tf.dispose([all, { ...noise }, potential]);
      leading.dispose();
      set.dispose();
    }
  }
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("groupingOf leaves noise in few dimensions as it is, and fills up the last group", () => {
  for (const few of [1, 3, 28, 48]) {
    assertEquals(groupingOf({ dimension: few }, 100), { groups: 100, size: 1, directions: 0 });
  }
  assertEquals(groupingOf({ dimension: 256 }, 500), { groups: 63, size: 8, directions: 32 });
  assertEquals(groupingOf({ dimension: 784 }, 512), { groups: 64, size: 8, directions: 56 });
});
