import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { independent, semidiscrete } from "../../lib/couplings/mod.ts";
import type { Coupling } from "../../lib/couplings/types.ts";
import { tf } from "../../lib/engine/mod.ts";
import { testOnEngines } from "../engines.ts";
import { smallSet } from "./small_set.ts";

const dataset = smallSet();

async function withSemidiscrete(
  options: Record<string, unknown>,
  use: (coupling: Coupling, notes: string[]) => Promise<void>,
) {
  const notes: string[] = [];
  const coupling = await semidiscrete.build(
    { dataset, rng: createRng(1), flips: false, onProgress: (_, note) => notes.push(note) },
    semidiscrete.options.parse({ chiSquared: 0.01, maxDrawsPerPoint: 1000, ...options }),
  );
  await use(coupling, notes);
  coupling.dispose();
}

/** E‖noise − data‖² per dimension. */
async function transportDistance(coupling: Coupling, draws: number): Promise<number> {
  const { noise, data, labels } = await coupling.sample(draws, createRng(3));
  const [z, x] = [await noise.data<"float32">(), await data.data()];
  tf.dispose([noise, data, labels]);
  return z.reduce((sum, value, i) => sum + (value - x[i]!) ** 2, 0) / z.length;
}

testOnEngines(
  "semidiscrete reports its fit: χ², points never hit beside chance, no label mismatch",
  async () => {
    await withSemidiscrete({}, (coupling) => {
      const { chiSquared, neverHit, neverHitByChance, drawsPerPoint, labelMismatch, converged, iterations } =
        coupling.facts;
      assert(chiSquared! < 0.02, `χ² ${chiSquared}`);
      assertEquals([neverHit, labelMismatch, converged], [0, 0, 1]);
      assert(neverHitByChance! < 1e-6 && drawsPerPoint! > 50 && iterations! >= 10);
      return Promise.resolve();
    });
  },
);

testOnEngines("semidiscrete hits every point, each as often as the others", async () => {
  await withSemidiscrete({}, async (coupling) => {
    const draws = 4200, { noise, data, labels, index } = await coupling.sample(draws, createRng(2));
    tf.dispose([noise, data, labels]);
    const hits = new Float64Array(dataset.size);
    index.forEach((row) => hits[row]!++);
    hits.forEach((hit, row) => assert(hit > 50 && hit < 150, `image ${row} was hit ${hit} times of 100 expected`));
  });
});

testOnEngines("semidiscrete draws a sample of any size row by row alike", async () => {
  // 1500 samples go through the engine in several products, 42 in one.
  await withSemidiscrete({}, async (coupling) => {
    const key = createRng(8), few = await coupling.sample(40, key), many = await coupling.sample(1500, key);
    assertEquals(few.index, many.index.slice(0, 40));
    tf.dispose([few.noise, few.data, few.labels, many.noise, many.data, many.labels]);
  });
});

testOnEngines("semidiscrete brings noise and data closer, the more so the less a label costs", async () => {
  const apart = await independent.build({ dataset, rng: createRng(1), flips: false }, {});
  const distances = [await transportDistance(apart, 4096)], mismatches: number[] = [], costs: number[] = [];
  for (const labelCost of ["infinite", 2, 0]) {
    await withSemidiscrete({ labelCost }, async (coupling) => {
      distances.push(await transportDistance(coupling, 4096));
      mismatches.push(coupling.facts.labelMismatch!);
      costs.push(coupling.facts.transportCost!);
    });
  }
  assert(costs[0]! > costs[1]! && costs[1]! > costs[2]!, `the cost of transport rises with β: ${costs}`);
  for (let i = 1; i < distances.length; i++) assert(distances[i]! < distances[i - 1]!, `${distances}`);
  assertEquals(mismatches[0], 0);
  assert(0 < mismatches[1]! && mismatches[1]! < mismatches[2]!, `${mismatches}`);
});

testOnEngines("semidiscrete at a great finite β is the problem of each class", async () => {
  const costs: number[] = [], distances: number[] = [];
  for (const labelCost of ["infinite", 50]) {
    await withSemidiscrete({ labelCost }, async (coupling) => {
      assertEquals(coupling.facts.labelMismatch, 0);
      costs.push(coupling.facts.transportCost!);
      distances.push(await transportDistance(coupling, 8192));
    });
  }
  assertAlmostEquals(distances[0]!, distances[1]!, 0.01);
  assertAlmostEquals(costs[0]!, costs[1]!, 0.05);
});

testOnEngines("semidiscrete warns when the potential is not good enough", async () => {
  await withSemidiscrete({ chiSquared: 1e-4, maxDrawsPerPoint: 20 }, (coupling, notes) => {
    assertEquals(coupling.facts.converged, 0);
    assert(notes.at(-1)!.startsWith("warning: "), notes.at(-1));
    return Promise.resolve();
  });
});
