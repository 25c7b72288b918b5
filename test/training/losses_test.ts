import { assert, assertAlmostEquals, assertEquals, assertGreater, assertLess } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import type { Pairs } from "../../lib/couplings/types.ts";
import { type Tensor, type Tensors, tf } from "../../lib/engine/mod.ts";
import { sit } from "../../lib/models/sit.ts";
import { tarflow } from "../../lib/models/tarflow.ts";
import type { FlowDefinition, VelocityDefinition } from "../../lib/models/types.ts";
import { initialize } from "../../lib/nn/parameters.ts";
import { droppedInBatch, flowMatchingBatch, flowMatchingLoss } from "../../lib/training/flow_matching.ts";
import { maxLikelihoodBatch, maxLikelihoodLoss } from "../../lib/training/max_likelihood.ts";
import { defaultOptimizer } from "../../lib/training/optimizer.ts";
import { interpolate, targetVelocity } from "../../lib/training/path.ts";
import { defaultTimes, sampleTimes, type TimeOptions } from "../../lib/training/times.ts";
import { createTrainer, type Trainer, type TrainerOptions } from "../../lib/training/trainer.ts";
import { testOnEngines } from "../engines.ts";

const rng = createRng(17);
const shape: [number, number, number] = [1, 4, 4];
const uniform: TimeOptions = { kind: "uniform" };

/** Pairs of data ~ N(0, std²) and noise, independent or the data scaled to unit variance. */
function gaussianPairs(count: number, std: number, coupled: boolean): Pairs {
  const data = rng.fork("data").normal(count * 16).map((x) => std * x);
  const noise = coupled ? data.map((x) => x / std) : rng.fork("noise").normal(count * 16);
  return {
    data: tf.tensor4d(data, [count, ...shape]),
    noise: tf.tensor4d(noise, [count, ...shape]),
    labels: tf.tensor1d(Int32Array.from({ length: count }, (_, i) => i % 3), "int32"),
    index: Int32Array.from({ length: count }, (_, i) => i),
  };
}

/** A field that multiplies x by a number depending on t: all that Gaussian pairs need. */
const linearField = (slope: (t: Tensor) => Tensor): VelocityDefinition => ({
  specs: [],
  velocity: (_, x, t) => x.mul(slope(t.reshape([-1, 1, 1, 1]))),
});

testOnEngines(
  "flowMatchingLoss() of the optimal field on Gaussian pairs is the variance that theory leaves",
  async () => {
    const std = 0.5, count = 20_000;
    const batch = await flowMatchingBatch(gaussianPairs(count, std, false), rng, { labelDropout: 0, time: uniform });
    // E[noise − data | x_t] = (t − (1−t)s²) / ((1−t)²s² + t²) · x_t, from joint normality.
    const optimal = (t: Tensor) => {
      const back = tf.sub(1, t);
      return t.sub(back.mul(std ** 2)).div(back.square().mul(std ** 2).add(t.square()));
    };
    const lossOf = (field: VelocityDefinition) => tf.tidy(() => flowMatchingLoss(field)({}, batch).dataSync()[0]!);
    const times = [...batch.t!.dataSync()];
    const left = times.map((t) => 1 + std ** 2 - (t - (1 - t) * std ** 2) ** 2 / ((1 - t) ** 2 * std ** 2 + t ** 2));
    const expected = left.reduce((sum, x) => sum + x / count, 0);
    // Each sample's mean over 16 dimensions has variance 2·left²/16.
    const standardError = Math.sqrt(left.reduce((sum, x) => sum + x * x / 8, 0)) / count;
    const best = lossOf(linearField(optimal));
    assertAlmostEquals(best, expected, 5 * standardError);
    assertGreater(lossOf(linearField((t) => optimal(t).add(0.1))), best);
    assertGreater(lossOf(linearField((t) => optimal(t).sub(0.1))), best);
    assertGreater(lossOf(linearField((t) => optimal(tf.sub(1, t)))), best + 0.1, "time must not run the other way");
    tf.dispose(batch);
  },
);

testOnEngines("flowMatchingLoss() of a deterministic coupling can reach zero", async () => {
  const std = 0.5;
  const batch = await flowMatchingBatch(gaussianPairs(500, std, true), rng, { labelDropout: 0, time: defaultTimes });
  // x_t = (1 − t + t/s)·data and noise − data = (1/s − 1)·data.
  const exact = linearField((t) => tf.div(1 / std - 1, t.mul(1 / std - 1).add(1)));
  assertLess(tf.tidy(() => flowMatchingLoss(exact)({}, batch).dataSync()[0]!), 1e-12);
  tf.dispose(batch);
});

testOnEngines("interpolate() is the data at t = 0, the noise at t = 1, and moves at targetVelocity()", async () => {
  const data = tf.tensor4d(rng.fork("a").normal(48), [3, ...shape]);
  const noise = tf.tensor4d(rng.fork("b").normal(48), [3, ...shape]);
  const at = (...t: number[]) => tf.tidy(() => [...interpolate(data, noise, tf.tensor1d(t)).dataSync()]);
  const mixed = at(0, 1, 0);
  assertEquals(mixed.slice(0, 16), [...await data.data()].slice(0, 16));
  assertEquals(mixed.slice(16, 32), [...await noise.data()].slice(16, 32));
  const velocity = tf.tidy(() => [...targetVelocity(data, noise).dataSync()]);
  const [early, late] = [at(0.25, 0.25, 0.25), at(0.75, 0.75, 0.75)];
  velocity.forEach((v, i) => assertAlmostEquals((late[i]! - early[i]!) / 0.5, v, 1e-5));
  tf.dispose([data, noise]);
});

testOnEngines(
  "flowMatchingBatch() keeps rows together, drops labels at the rate asked, and repeats itself",
  async () => {
    const count = 4000, before = tf.memory().numTensors;
    const make = () =>
      flowMatchingBatch(gaussianPairs(count, 1, false), rng.at(3), { labelDropout: 0.1, time: uniform });
    const [first, again] = [await make(), await make()];
    const labels = [...await first.labels!.data()];
    const dropped = labels.filter((label) => label === -1).length;
    assertAlmostEquals(dropped / count, 0.1, 5 * Math.sqrt(0.09 / count));
    labels.forEach((label, i) => assert(label === -1 || label === i % 3));
    // What the coupling is told of before it draws the pairs.
    const told = droppedInBatch(count, rng.at(3), { labelDropout: 0.1, time: uniform });
    assertEquals([...told], labels.map((label) => label === -1 ? 1 : 0));
    for (const key of ["data", "noise", "t", "labels"]) {
      assertEquals(
        await again[key]!.data(),
        await first[key]!.data(),
      );
    }
    assertEquals(first.labels!.dtype, "int32");
    tf.dispose([first, again]);
    assertEquals(tf.memory().numTensors, before, "the pairs' own labels are given back");
  },
);

Deno.test("sampleTimes() follows its law: the logit is normal, or t uniform", () => {
  const count = 50_000;
  const mean = (values: Iterable<number>) => [...values].reduce((sum, x) => sum + x / count, 0);
  const logits = [...sampleTimes({ kind: "logitNormal", mean: -0.2, std: 1.5 }, count, rng)]
    .map((t) => Math.log(t / (1 - t)));
  const centre = mean(logits);
  assertAlmostEquals(centre, -0.2, 5 * 1.5 / Math.sqrt(count));
  assertAlmostEquals(mean(logits.map((x) => (x - centre) ** 2)), 2.25, 5 * 2.25 * Math.sqrt(2 / count));
  const times = sampleTimes(uniform, count, rng);
  assert(times.every((t) => t >= 0 && t <= 1));
  assertAlmostEquals(mean(times), 1 / 2, 5 / Math.sqrt(12 * count));
  assertAlmostEquals(mean(times.map((t) => t * t)), 1 / 3, 5 * Math.sqrt(4 / 45 / count));
});

/** z = exp(−s)·x + b: a flow whose best likelihood is known. */
const scaling: FlowDefinition = {
  specs: [{ name: "s", shape: [], init: { kind: "zeros" } }, { name: "b", shape: [], init: { kind: "zeros" } }],
  encode: ({ s, b }, data) => ({
    noise: data.mul(tf.exp(tf.neg(s!))).add(b!),
    logDeterminant: tf.fill([data.shape[0]!], -data.size / data.shape[0]!).mul(s!),
  }),
  decode: ({ s, b }, noise) => noise.sub(b!).mul(tf.exp(s!)),
  denoise: (_, noisy) => noisy,
};

async function train(
  options: Omit<TrainerOptions, "initial" | "optimizer">,
  steps: number,
  batch: (step: number) => Promise<Tensors>,
) {
  const initial = initialize(options.specs, rng.fork("initial"));
  const trainer = createTrainer({ ...options, initial, optimizer: { ...defaultOptimizer, emaDecay: 0.9 } });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const tensors = await batch(i);
    losses.push((await trainer.train(tensors)).loss);
    tf.dispose(tensors);
  }
  return { trainer, losses };
}
const mean = (values: number[]) => values.reduce((sum, x) => sum + x / values.length, 0);

testOnEngines("maxLikelihoodLoss() goes down to its floor 0.5 + ln η on noise alone, and not below", async () => {
  const noiseStd = 0.3, floor = 0.5 + Math.log(noiseStd);
  const images = { data: new Float32Array(256 * 16), labels: new Int32Array(256) };
  const { trainer, losses } = await train(
    { name: "scaling", specs: scaling.specs, loss: maxLikelihoodLoss(scaling), schedule: (step) => 0.1 * 0.97 ** step },
    150,
    (step) => Promise.resolve(maxLikelihoodBatch(images, shape, rng.at(step), { noiseStd, labelDropout: 0 })),
  );
  // One batch's loss has standard error √(1/2 / (256·16)) = .011; the mean of fifty .0016.
  assertAlmostEquals(mean(losses.slice(-50)), floor, 0.008);
  assertAlmostEquals(Math.exp((await trainer.ema().data())[0]!), noiseStd, 0.01);
  trainer.dispose();
});

/** Four images with their classes: little enough to be learnt in seconds. */
const images = {
  data: Float32Array.from({ length: 4 * 16 }, (_, i) => (i % 16 < 8) === (i < 32) ? 0.8 : -0.8),
  labels: Int32Array.of(0, 0, 1, 1),
};
const repeated = (count: number) => {
  const row = (i: number) => images.data.subarray(16 * (i % 4), 16 * (i % 4) + 16);
  return {
    data: Float32Array.from({ length: count * 16 }, (_, i) => row(i >> 4)[i % 16]!),
    labels: Int32Array.from({ length: count }, (_, i) => images.labels[i % 4]!),
  };
};

async function checkLearns(make: () => Promise<{ trainer: Trainer; losses: number[] }>, least: number) {
  const before = tf.memory().numTensors;
  const { trainer, losses } = await make();
  assertLess(mean(losses.slice(-10)), mean(losses.slice(0, 3)) - least);
  assertEquals(tf.memory().numTensors, before + 4, "the four vectors and nothing else");
  assertEquals(trainer.samplesSeen, losses.length * 16);
  trainer.dispose();
}

testOnEngines("a small SiT learns four images by flow matching", async () => {
  const student = sit({ patch: 2, width: 16, depth: 1, heads: 2 }, shape, 2);
  const batch = (step: number) => {
    const { data, labels } = repeated(16);
    const pairs = {
      data: tf.tensor4d(data, [16, ...shape]),
      noise: tf.tensor4d(rng.fork("noise").at(step).normal(256), [16, ...shape]),
      labels: tf.tensor1d(labels, "int32"),
      index: new Int32Array(16),
    };
    return flowMatchingBatch(pairs, rng.at(step), { labelDropout: 0.1, time: defaultTimes });
  };
  const options = { name: "student", specs: student.specs, loss: flowMatchingLoss(student), schedule: () => 1e-2 };
  await checkLearns(() => train(options, 60, batch), 0.4);
});

testOnEngines("a small TarFlow learns four images by maximum likelihood", async () => {
  const teacher = tarflow({ patch: 2, width: 16, headWidth: 8, blocks: [1, 1] }, shape, 2);
  const batch = (step: number) =>
    Promise.resolve(maxLikelihoodBatch(repeated(16), shape, rng.at(step), { noiseStd: 0.1, labelDropout: 0.1 }));
  const options = { name: "teacher", specs: teacher.specs, loss: maxLikelihoodLoss(teacher), schedule: () => 1e-2 };
  await checkLearns(() => train(options, 60, batch), 0.4);
});
