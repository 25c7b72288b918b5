import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { openEngine, type Tensor, tf } from "../../lib/engine/mod.ts";
import type { VelocityModel } from "../../lib/models/types.ts";
import { grid, type GridKind } from "../../lib/sampling/grid.ts";
import { unguided, withGuidance } from "../../lib/sampling/guidance.ts";
import * as methods from "../../lib/sampling/mod.ts";
import { type MethodName, sampler } from "../../lib/sampling/ode.ts";
import { balancedLabels } from "../../lib/sampling/draw.ts";

await openEngine("wasm");
const names = Object.keys(methods) as MethodName[];
const grids: GridKind[] = ["t2", "linear"];
const dataStd = 0.5;

/** The marginal velocity from N(0, I) to N(0, s²I) under independent coupling; its flow is x₀ = s·x₁. */
const gaussianField: VelocityModel = {
  velocity: (x, t) => {
    const time = t.dataSync()[0]!;
    const [data, noise] = [(1 - time) * dataStd ** 2, time];
    return x.mul((noise - data) / ((1 - time) * data + time * noise));
  },
};

/** v = a(t), the same for every coordinate. */
const timeField = (a: (t: number) => number): VelocityModel => ({
  velocity: (x, t) => tf.fill(x.shape, a(t.dataSync()[0]!)),
});

function start(batch = 3, seed = 1): [Tensor, Tensor] {
  const noise = tf.tensor(createRng(seed).normal(batch * 8), [batch, 2, 2, 2]);
  return [noise, tf.tensor1d(balancedLabels(batch, 2), "int32")];
}

function nfeOf(method: MethodName, steps: number): number {
  return method === "heun" ? 2 * steps - 1 : steps;
}

Deno.test("sampler() converges with the order of its method, for every method and grid", async () => {
  const [noise, labels] = start();
  const exact = Float64Array.from(noise.dataSync(), (x) => dataStd * x);
  for (const name of names) {
    for (const grid of grids) {
      const points: [number, number][] = [];
      for (const steps of [8, 16, 32, 64]) {
        const samples = await sampler({ method: name, nfe: nfeOf(name, steps), grid }).sample(
          unguided(gaussianField),
          noise,
          labels,
        );
        const error = samples.data.dataSync<"float32">().reduce(
          (max, x, i) => Math.max(max, Math.abs(x - exact[i]!)),
          0,
        );
        points.push([Math.log(1 / steps), Math.log(error)]);
        samples.data.dispose();
      }
      const order = slope(points);
      const expected = methods[name].order;
      assert(Math.abs(order - expected) < 0.25, `${name} on ${grid}: order ${order}, expected ${expected}`);
    }
  }
});

function slope(points: readonly [number, number][]): number {
  const mean = (axis: 0 | 1) => points.reduce((sum, p) => sum + p[axis], 0) / points.length;
  const [mx, my] = [mean(0), mean(1)];
  return points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) /
    points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
}

Deno.test("sampler() spends the evaluations and network passes it reports, guided or not", async () => {
  const [noise, labels] = start();
  for (const name of names) {
    for (const steps of [1, 2, 5, 16]) {
      for (const weight of [1, 1.5]) {
        let rows = 0, calls = 0;
        const counting: VelocityModel = {
          velocity: (x) => (calls++, rows += x.shape[0]!, x.mul(0.1)),
        };
        const nfe = nfeOf(name, steps);
        const solver = sampler({ method: name, nfe });
        const samples = await solver.sample(withGuidance(counting, weight), noise, labels);
        assertEquals([samples.nfe, solver.nfe, calls], [nfe, nfe, nfe], `${name} ${steps}`);
        assertEquals(samples.networkPasses, rows / 3);
        assertEquals(samples.networkPasses, weight === 1 ? nfe : 2 * nfe);
        samples.data.dispose();
      }
    }
  }
});

Deno.test("sampler() visits the grid from t = 1 and never evaluates at t = 0", async () => {
  const [noise, labels] = start();
  for (const name of names) {
    const visited: number[] = [];
    const field: VelocityModel = { velocity: (x, t) => (visited.push(...t.dataSync()), x.mul(0)) };
    (await sampler({ method: name, nfe: nfeOf(name, 3) }).sample(unguided(field), noise, labels)).data.dispose();
    const distinct = [...new Set(visited)];
    grid("t2", 3).subarray(0, 3).forEach((t, i) => assertAlmostEquals(distinct[i]!, t, 1e-7));
    assertEquals(distinct.length, 3);
  }
});

Deno.test("sampler() goes with the velocity: a constant field carries noise to noise − v", async () => {
  const [noise, labels] = start();
  for (const name of names) {
    const samples = await sampler({ method: name, nfe: nfeOf(name, 4) }).sample(
      unguided(timeField(() => 2)),
      noise,
      labels,
    );
    const before = noise.dataSync();
    samples.data.dataSync().forEach((x, i) => assertAlmostEquals(x, before[i]! - 2, 1e-6));
    samples.data.dispose();
  }
});

Deno.test("heun refuses an even NFE, every method one that is not a positive integer", () => {
  assertThrows(() => sampler({ method: "heun", nfe: 6 }), Problem, "odd");
  for (const method of names) {
    for (const nfe of [0, -1, 2.5, NaN]) assertThrows(() => sampler({ method, nfe }), Problem, `${nfe} evaluations`);
  }
  assertEquals([31, 15, 7, 5].map((nfe) => methods.heun.stepsFor(nfe)), [16, 8, 4, 3]);
});

Deno.test("grid() holds the times of paper §4 and refuses less than a step", () => {
  assertEquals([...grid("t2", 4)], [1, 9 / 16, 1 / 4, 1 / 16, 0]);
  assertEquals([...grid("linear", 4)], [1, 0.75, 0.5, 0.25, 0]);
  assertThrows(() => grid("t2", 0), Problem);
});

Deno.test("curvature is 0 for a straight field and the variance of the velocity for one that changes in time", async () => {
  const [noise, labels] = start();
  for (const name of names) {
    for (const kind of grids) {
      for (const steps of [1, 4, 16]) {
        const solver = sampler({ method: name, nfe: nfeOf(name, steps), grid: kind, curvature: true });
        const straight = await solver.sample(unguided(timeField(() => -3)), noise, labels);
        straight.curvature!.forEach((k) => assertAlmostEquals(k, 0, 1e-11));
        const bent = await solver.sample(unguided(timeField((t) => 4 * t)), noise, labels);
        const times = grid(kind, steps);
        // v = 4t moves a parabola: Heun's trapezia are exact but for the last, an Euler step.
        let chord = 0;
        for (let i = 0; i < steps; i++) {
          const [from, to] = [times[i]!, times[i + 1]!];
          chord += (from - to) * (name === "heun" && to > 0 ? 2 * (from + to) : 4 * from);
        }
        const expected = times.subarray(0, steps).reduce((sum, t) => sum + (chord - 4 * t) ** 2, 0) / steps;
        bent.curvature!.forEach((k) => assertAlmostEquals(k, expected, 2e-6, `${name} ${kind} ${steps}`));
        tf.dispose([straight.data, bent.data]);
      }
    }
  }
  const solver = sampler({ method: "euler", nfe: 8, grid: "linear", curvature: true });
  const { curvature, data } = await solver.sample(unguided(timeField((t) => 4 * t)), noise, labels);
  assertAlmostEquals(curvature![0]!, 16 * (8 * 8 - 1) / (12 * 8 * 8), 1e-6, "16·Var of 8 even times");
  data.dispose();
});

Deno.test("curvature belongs to its own trajectory", async () => {
  const labels = tf.tensor1d([0, 1], "int32"), noise = tf.zeros([2, 1, 2, 2]);
  const field: VelocityModel = {
    velocity: (x, t, c) => x.mul(0).add(t.mul(c.toFloat()).reshape([2, 1, 1, 1])),
  };
  const solver = sampler({ method: "euler", nfe: 4, curvature: true });
  const { curvature, data } = await solver.sample(unguided(field), noise, labels);
  assertEquals(curvature![0], 0);
  assert(curvature![1]! > 0.01);
  data.dispose();
});

Deno.test("sampler() leaves no tensor behind, and its inputs alone", async () => {
  const [noise, labels] = start();
  const bytes = noise.dataSync().slice();
  for (const name of names) {
    for (const weight of [1, 2]) {
      const before = tf.memory().numTensors;
      const solver = sampler({ method: name, nfe: nfeOf(name, 3), curvature: true });
      const samples = await solver.sample(withGuidance(gaussianField, weight), noise, labels);
      assertEquals(tf.memory().numTensors, before + 1);
      samples.data.dispose();
      assertEquals(noise.dataSync(), bytes);
    }
  }
});

Deno.test("sampler() lets timers run while it works", async () => {
  const [noise, labels] = start();
  let turned = false;
  setTimeout(() => turned = true);
  const slow: VelocityModel = {
    velocity(x, t, labels) {
      const began = performance.now();
      while (performance.now() - began < 2); // the timer is due from here on
      return gaussianField.velocity(x, t, labels);
    },
  };
  (await sampler({ method: "euler", nfe: 3 }).sample(unguided(slow), noise, labels)).data.dispose();
  assert(turned);
});
