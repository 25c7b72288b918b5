import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLess,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { Problem } from "../../lib/core/problem.ts";
import { forceExecution, openEngine, type Tensors, tf } from "../../lib/engine/mod.ts";
import { initialize, type ParameterSpec } from "../../lib/nn/parameters.ts";
import { defaultOptimizer, type OptimizerOptions, stepScalars } from "../../lib/training/optimizer.ts";
import { createTrainer, type TrainerOptions } from "../../lib/training/trainer.ts";
import { engines, testOnEngines } from "../engines.ts";

/** A two-layer regression, large enough (1,185 values) for the two-level norm. */
const specs: ParameterSpec[] = [
  { name: "hidden.weight", shape: [4, 197], init: { kind: "normal", std: 0.5 } },
  { name: "hidden.bias", shape: [197], init: { kind: "uniform", bound: 0.5 } },
  { name: "out.weight", shape: [197, 1], init: { kind: "normal", std: 0.1 } },
  { name: "scale", shape: [], init: { kind: "ones" } },
  { name: "shift", shape: [2], init: { kind: "zeros" } },
];
const loss: TrainerOptions["loss"] = (p, { x, y }) => {
  const hidden = x!.matMul(p["hidden.weight"]!).add(p["hidden.bias"]!).tanh();
  return hidden.matMul(p["out.weight"]!).mul(p["scale"]!).add(p["shift"]!.sum()).sub(y!).square().mean();
};
const rng = createRng(11);
function batchOf(step: number, size = 16): Tensors {
  const x = rng.fork("x").at(step).normal(size * 4);
  const y = Float32Array.from({ length: size }, (_, i) => Math.sin(x[4 * i]!) + x[4 * i + 1]! * x[4 * i + 2]!);
  return { x: tf.tensor2d(x, [size, 4]), y: tf.tensor2d(y, [size, 1]) };
}
const start = () => initialize(specs, rng.fork("start"));
const make = (options: Partial<TrainerOptions> = {}) =>
  createTrainer({
    name: "test",
    specs,
    initial: start(),
    loss,
    optimizer: defaultOptimizer,
    schedule: () => 1e-2,
    ...options,
  });
async function run(trainer: ReturnType<typeof make>, steps: number, size?: number) {
  const reports = [];
  for (let i = 0; i < steps; i++) {
    const batch = batchOf(trainer.step, size);
    reports.push(await trainer.train(batch));
    tf.dispose(batch);
  }
  return reports;
}

/** AdamW as its paper writes it, on the quadratic ½Σ a_i (p_i − c_i)², in float64. */
function oracle(options: OptimizerOptions, a: number[], c: number[], rate: (step: number) => number, steps: number) {
  const p = a.map(() => 1), m = a.map(() => 0), v = a.map(() => 0), ema = [...p];
  let norm = 0;
  for (let t = 1; t <= steps; t++) {
    const gradient = p.map((x, i) => a[i]! * (x - c[i]!));
    norm = Math.hypot(...gradient);
    const clip = options.clipNorm === undefined ? 1 : Math.min(1, options.clipNorm / (norm + 1e-6));
    p.forEach((x, i) => {
      const g = gradient[i]! * clip;
      m[i] = options.beta1 * m[i]! + (1 - options.beta1) * g;
      v[i] = options.beta2 * v[i]! + (1 - options.beta2) * g * g;
      const mHat = m[i]! / (1 - options.beta1 ** t), vHat = v[i]! / (1 - options.beta2 ** t);
      p[i] = x - rate(t - 1) * (mHat / (Math.sqrt(vHat) + options.epsilon) + options.weightDecay * x);
      ema[i] = options.emaDecay * ema[i]! + (1 - options.emaDecay) * p[i]!;
    });
  }
  return { p, ema, norm };
}

testOnEngines("a Trainer follows AdamW's and the average's float64 arithmetic for 50 steps", async () => {
  const a = [0.5, 3, 20, 1e-3], c = [2, -1, 0.3, 5];
  const variants: Partial<OptimizerOptions>[] = [{}, { weightDecay: 0.1 }, { clipNorm: 0.7 }, {
    beta2: 0.95,
    emaDecay: 0.9,
    weightDecay: 0.03,
    clipNorm: 5,
  }];
  const rate = (step: number) => 0.05 / (1 + step / 10);
  for (const variant of variants) {
    const optimizer = { ...defaultOptimizer, ...variant };
    const trainer = createTrainer({
      name: "quadratic",
      specs: [{ name: "p", shape: [3], init: { kind: "ones" } }, { name: "q", shape: [1], init: { kind: "ones" } }],
      initial: new Float32Array(4).fill(1),
      loss: ({ p, q }, { c }) => tf.concat([p!, q!]).sub(c!.mean(0)).square().mul(tf.tensor1d(a)).sum().mul(0.5),
      optimizer,
      schedule: rate,
    });
    const batch = { c: tf.tensor2d([...c, ...c], [2, 4]) };
    let last = { loss: NaN, gradientNorm: NaN };
    for (let i = 0; i < 50; i++) last = await trainer.train(batch);
    const expected = oracle(optimizer, a, c, rate, 50);
    const got = await trainer.snapshot();
    for (let i = 0; i < 4; i++) {
      assertAlmostEquals(got.parameters[i]!, expected.p[i]!, 2e-5);
      assertAlmostEquals(got.ema[i]!, expected.ema[i]!, 2e-5);
    }
    assertAlmostEquals(last.gradientNorm / expected.norm, 1, 1e-4, "the norm is that before clipping");
    assertEquals([got.step, got.samplesSeen], [50, 100]);
    trainer.dispose();
    tf.dispose(batch);
  }
});

testOnEngines("ema() is the closed form of the parameters it saw", async () => {
  const decay = 0.8;
  const trainer = make({ optimizer: { ...defaultOptimizer, emaDecay: decay } });
  const seen = [[...await trainer.parameters().data()]];
  for (let i = 0; i < 6; i++) {
    await run(trainer, 1);
    seen.push([...await trainer.parameters().data()]);
  }
  const ema = [...await trainer.ema().data()];
  const closed = ema.map((_, i) =>
    decay ** 6 * seen[0]![i]! + seen.slice(1).reduce((sum, p, k) => sum + (1 - decay) * decay ** (5 - k) * p[i]!, 0)
  );
  ema.forEach((value, i) => assertAlmostEquals(value, closed[i]!, 1e-6));
  trainer.dispose();
});

testOnEngines(
  "micro-batches, and a compiled step's parts, give the step of the whole batch within rounding",
  async () => {
    for (const size of [16, 64]) {
      const whole = make();
      await run(whole, 5, size);
      const expected = await whole.snapshot();
      whole.dispose();
      for (const compile of [false, true]) {
        for (const microBatches of [1, 2, 4, 16]) {
          const trainer = make({ microBatches, compile });
          await run(trainer, 5, size);
          const got = await trainer.snapshot();
          trainer.dispose();
          got.parameters.forEach((value, i) => assertAlmostEquals(value, expected.parameters[i]!, 1e-4));
          assertEquals([got.step, got.samplesSeen], [expected.step, expected.samplesSeen]);
        }
      }
    }
    const uneven = make({ microBatches: 3 });
    const problem = await assertRejects(() => run(uneven, 1), Problem, "micro-batches");
    assertEquals(problem.exitCode, 2);
    uneven.dispose();
  },
);

testOnEngines("trainers of one loss and the same options record their step once, others their own", async (engine) => {
  let calls = 0;
  const counted: typeof loss = (...given) => {
    calls++;
    return loss(...given);
  };
  const [first, second] = [make({ loss: counted }), make({ loss: counted, initial: start().map((x) => 2 * x) })];
  const other = make({ loss: counted, optimizer: { ...defaultOptimizer, clipNorm: 1e-3 } });
  const steps = [first, second, first, second].map((trainer) => () => run(trainer, 1));
  for (const [i, step] of steps.entries()) {
    await step();
    assertEquals(calls, engine === "native" ? 1 : i + 1);
  }
  await run(other, 2);
  assertEquals(calls, engine === "native" ? 2 : 6);
  const alone = [make(), make({ initial: start().map((x) => 2 * x) })];
  for (const [i, trainer] of alone.entries()) {
    await run(trainer, 2);
    assertEquals(await trainer.snapshot(), await [first, second][i]!.snapshot());
  }
  for (const trainer of [first, second, other, ...alone]) trainer.dispose();
});

testOnEngines("a Trainer lowers the loss, holds its tensors constant and gives them back", async () => {
  for (const microBatches of [1, 4]) {
    const before = tf.memory().numTensors;
    const trainer = make({ microBatches });
    const first = await run(trainer, 5);
    const during = tf.memory().numTensors;
    const rest = await run(trainer, 50);
    assertEquals(tf.memory().numTensors, during, "50 steps leak nothing");
    const mean = (reports: { loss: number }[]) => reports.reduce((sum, r) => sum + r.loss / reports.length, 0);
    assertLess(mean(rest.slice(-5)), mean(first) / 2);
    trainer.dispose();
    assertEquals(tf.memory().numTensors, before);
  }
});

testOnEngines("several steps in one call are the steps one by one, byte for byte, and leak nothing", async (engine) => {
  const ways = [[16, false, "float32"], [16, true, "float32"], [64, true, "float32"], [64, true, "bfloat16"]] as const;
  for (const [size, compile, products] of engine === "native" ? ways : ways.slice(0, 1)) {
    const schedule = (step: number) => 1e-2 / (1 + step), optimizer = { ...defaultOptimizer, weightDecay: 0.01 };
    const [single, several] = [1, 4].map((callSteps) => make({ callSteps, compile, products, schedule, optimizer }));
    const expected = await run(single!, 10, size);
    const before = tf.memory().numTensors, reports = [];
    for (const count of [1, 4, 3, 2]) {
      const batches = Array.from({ length: count }, (_, i) => batchOf(several!.step + i, size));
      const made = await several!.trainEach(batches);
      assertEquals(made.failure, undefined);
      reports.push(...made.reports);
      tf.dispose(batches);
      assert(several!.stepsAtOnce >= 1 && several!.stepsAtOnce <= 4);
    }
    assertEquals(tf.memory().numTensors, before);
    assertEquals(reports, expected);
    assertEquals(await several!.snapshot(), await single!.snapshot());
    assertEquals(single!.stepsAtOnce, 1);
    for (const trainer of [single!, several!]) trainer.dispose();
  }
  assertThrows(() => make({ callSteps: 2, microBatches: 2 }), TypeError, "micro-batches");
});

testOnEngines("of several steps those before a loss that is not finite are done", async () => {
  const faulty: typeof loss = (p, b) => loss(p, b).div(b.fault!.mean());
  const [single, several] = [1, 4].map((callSteps) => make({ loss: faulty, callSteps }));
  const batchesOf = (faults: readonly number[], step: number) =>
    faults.map((fault, i) => ({ ...batchOf(step + i), fault: tf.fill([16, 1], fault) }));
  const fine = batchesOf([1, 1], 0), some = batchesOf([1, 1, 0, 1], 0), none = batchesOf([0], 2);
  const expected = [await single!.train(fine[0]!), await single!.train(fine[1]!)];
  const before = tf.memory().numTensors;
  const { reports, failure } = await several!.trainEach(some);
  assertEquals(reports, expected);
  assertEquals([failure!.exitCode, several!.step, several!.samplesSeen], [70, 2, 32]);
  assertMatch(failure!.message, /at step 3 the loss is .*the weights of step 2 are kept/);
  assertEquals((await several!.trainEach(none)).reports, []);
  assertEquals(tf.memory().numTensors, before);
  assertEquals(await several!.snapshot(), await single!.snapshot());
  tf.dispose([fine, some, none]);
  for (const trainer of [single!, several!]) trainer.dispose();
});

testOnEngines("restore() of a snapshot() continues exactly, and refuses another model's", async () => {
  const reference = make({ optimizer: { ...defaultOptimizer, emaWarmup: true, weightDecay: 0.01 } });
  await run(reference, 3);
  const state = await reference.snapshot();
  await run(reference, 3);
  const expected = await reference.snapshot();
  const other = make({
    optimizer: { ...defaultOptimizer, emaWarmup: true, weightDecay: 0.01 },
    initial: new Float32Array(1185),
  });
  other.restore(state);
  assertEquals(await other.snapshot(), state, "restore then snapshot is the identity on every field");
  await run(other, 3);
  assertEquals(await other.snapshot(), expected);
  assertThrows(() => other.restore({ ...state, ema: new Float32Array(3) }), TypeError, "ema");
  reference.dispose();
  other.dispose();
});

testOnEngines("a loss or gradient that is not finite is named, and the step before it kept", async () => {
  // sqrt has an infinite slope at 0: the loss stays finite while its gradient does not.
  const cases: [string, TrainerOptions["loss"]][] = [
    ["loss", (p, b) => loss(p, b).div(b.fault!.mean())],
    [
      "gradient",
      (p, b) => loss(p, b).add(p["shift"]!.mul(b.fault!.mean().sub(1)).abs().add(b.fault!.mean()).sub(1).sqrt().sum()),
    ],
  ];
  for (const [what, faulty] of cases) {
    const trainer = make({ loss: faulty });
    const train = async (fault: number) => {
      const batch = { ...batchOf(trainer.step), fault: tf.fill([16, 1], fault) };
      try {
        return await trainer.train(batch);
      } finally {
        tf.dispose(batch);
      }
    };
    const [fine, bad] = what === "loss" ? [1, 0] : [2, 1];
    await train(fine);
    await train(fine);
    const kept = await trainer.snapshot();
    const before = tf.memory().numTensors;
    const problem = await assertRejects(() => train(bad), Problem, "at step 3");
    assertEquals(problem.exitCode, 70);
    assertEquals(tf.memory().numTensors, before);
    assertEquals(await trainer.snapshot(), kept);
    await train(fine);
    assertEquals(trainer.step, 3);
    trainer.dispose();
  }
});

Deno.test("stepScalars() come from the step alone and warm the average up on request", () => {
  const late = stepScalars(defaultOptimizer, 1999, 1e-3);
  assertAlmostEquals(late.correction2, 1 - 0.999 ** 2000, 1e-12);
  assertAlmostEquals(late.emaRate, 0.001, 1e-12);
  const warm = { ...defaultOptimizer, emaWarmup: true };
  assertAlmostEquals(stepScalars(warm, 0, 1).emaRate, 0.9, 1e-12);
  assertAlmostEquals(stepScalars(warm, 90, 1).emaRate, 1 - 0.91, 1e-12);
  assert(stepScalars(warm, 1e6, 1).emaRate === late.emaRate);
});

Deno.test("createTrainer() refuses starting values that are not one for each parameter", () => {
  assertThrows(() => make({ initial: new Float32Array(7) }), TypeError, "1185");
});

Deno.test({
  name: "products in bfloat16 train as float32 does, and leave the update in float32",
  ignore: !engines.includes("native"),
}, async () => {
  await openEngine("native");
  const losses = async (products: "float32" | "bfloat16") => {
    const trainer = make({ products });
    const reports = await run(trainer, 60);
    trainer.dispose();
    return reports.map(({ loss }) => loss);
  };
  const exact = await losses("float32"), short = await losses("bfloat16");
  assert(short.some((loss, i) => loss !== exact[i]));
  const mean = (values: number[]) => values.slice(-20).reduce((sum, x) => sum + x / 20, 0);
  assertLess(Math.abs(mean(short) / mean(exact) - 1), 0.05);
  // A step of 1e-6 is far below what bfloat16 tells from a weight of 1.
  const slow = make({ products: "bfloat16", schedule: () => 1e-6 });
  const before = (await slow.snapshot()).parameters;
  await run(slow, 1);
  const after = (await slow.snapshot()).parameters,
    largest = Math.max(...after.map((x, i) => Math.abs(x - before[i]!)));
  assert(largest > 5e-7 && largest < 2e-6, String(largest));
  slow.dispose();
});

Deno.test({
  name: "a Trainer of no products of its own takes those all around it",
  ignore: !engines.includes("native"),
}, async () => {
  await openEngine("native");
  const lossOf = async (options: Partial<TrainerOptions>, around: "float32" | "bfloat16") => {
    forceExecution(around === "bfloat16" ? around : undefined);
    const trainer = make(options), [report] = await run(trainer, 1);
    trainer.dispose();
    forceExecution(undefined);
    return report!.loss;
  };
  const exact = await lossOf({}, "float32"), short = await lossOf({ products: "bfloat16" }, "float32");
  assertEquals(await lossOf({}, "bfloat16"), short);
  assertEquals(await lossOf({ products: "float32" }, "bfloat16"), exact);
});

Deno.test({
  name: "trainers of one loss and options record their step once, defaults written out or not",
  ignore: !engines.includes("native"),
}, async () => {
  await openEngine("native");
  let recordings = 0;
  const counted: TrainerOptions["loss"] = (parameters, batch) => (recordings++, loss(parameters, batch));
  const recordedBy = async (options: Partial<TrainerOptions>) => {
    const before = recordings, trainer = make({ loss: counted, ...options });
    await run(trainer, 2);
    trainer.dispose();
    return recordings - before;
  };
  assertEquals(await recordedBy({ name: "first" }), 1);
  assertEquals(await recordedBy({ name: "second", microBatches: 1, compile: false }), 0);
  const reordered = Object.fromEntries(Object.entries(defaultOptimizer).toReversed()) as unknown as OptimizerOptions;
  assertEquals(await recordedBy({ name: "third", optimizer: reordered }), 0);
  assertEquals(await recordedBy({ name: "fourth", microBatches: 2 }), 1);
});
