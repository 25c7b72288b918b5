import { createRng, type Rng } from "../core/rng.ts";
import { hashOf } from "../core/hash.ts";
import { assign } from "../couplings/assignment.ts";
import { noiseRows } from "../couplings/features.ts";
import { drawGroups, groupingOf, leadingDirections } from "../couplings/leading.ts";
import * as couplings from "../couplings/mod.ts";
import { loadPoints, placePotential, pointsInMemory } from "../couplings/point_set.ts";
import { softShares } from "../couplings/soft_assignment.ts";
import type { Dataset } from "../data/types.ts";
import { tf } from "../engine/mod.ts";
import { createClassifier, featureParameters } from "../metrics/classifier.ts";
import { createInception } from "../metrics/inception.ts";
import { convolutions, inceptionSide } from "../metrics/inception_layout.ts";
import { inceptionDefaults } from "../metrics/inception_options.ts";
import { bindFlow, bindVelocity } from "../models/bind.ts";
import { sit } from "../models/sit.ts";
import { tarflow } from "../models/tarflow.ts";
import { initialize, type ParameterSpec, sizeOf } from "../nn/parameters.ts";
import { balancedLabels } from "../sampling/draw.ts";
import { unguided } from "../sampling/guidance.ts";
import { sampler } from "../sampling/ode.ts";
import { flowMatchingLoss } from "../training/flow_matching.ts";
import { lookAhead } from "../training/look_ahead.ts";
import { maxLikelihoodBatch, maxLikelihoodLoss } from "../training/max_likelihood.ts";
import { studentBatches } from "../training/student_batches.ts";
import { callStepsOf, createTrainer } from "../training/trainer.ts";
import type { BenchShape } from "./bench_shapes.ts";

/** A case made ready on the engine in use. */
export interface BenchSubject {
  run(calls: number): Promise<void>;
  dispose(): void;
}

const times = { labelDropout: 0.1, time: { kind: "logitNormal", mean: -0.2, std: 1 } } as const;
const optimizer = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0, clipNorm: 1, emaDecay: 0.999 };
const noiseStd = 0.2;

function each(once: () => Promise<void>, dispose: () => void): BenchSubject {
  return {
    async run(calls) {
      for (let i = 0; i < calls; i++) await once();
    },
    dispose,
  };
}

/**
 * The product of two square matrices, which repeat a block of noise. The last
 * of several is waited for: what a machine can do at most is without pauses.
 */
export function multiplying(size: number): BenchSubject {
  const side = Math.min(size, 1024), times = size / side;
  const [a, b] = ["a", "b"].map((name) =>
    tf.tidy(() => tf.tensor2d(createRng(0).fork(name).normal(side * side), [side, side]).tile([times, times]))
  );
  return {
    async run(calls) {
      for (let i = 1; i < calls; i++) tf.matMul(a!, b!).dispose();
      const corner = tf.tidy(() => tf.matMul(a!, b!).slice([0, 0], [1, 1]));
      await corner.data();
      corner.dispose();
    },
    dispose: () => tf.dispose([a!, b!]),
  };
}

/** What is trained, on what. */
interface Training {
  readonly name: string;
  readonly specs: readonly ParameterSpec[];
  readonly loss: Parameters<typeof createTrainer>[0]["loss"];
  readonly batch: Parameters<typeof lookAhead>[0];
}

/** Steps as `trainLoop` runs them: the next batches are begun while a step is computed. */
function steps({ name, specs, loss, batch }: Training, dispose: () => void = () => {}): BenchSubject {
  const initial = initialize(specs, createRng(0).fork(name));
  const trainer = createTrainer({
    name,
    specs,
    initial,
    loss,
    optimizer,
    schedule: () => 1e-4,
    callSteps: callStepsOf(specs, 1),
    compile: true,
  });
  return {
    async run(calls) {
      const end = trainer.step + calls, batches = lookAhead(batch, end);
      while (trainer.step < end) {
        const tensors = await batches.take(trainer.step, Math.min(trainer.stepsAtOnce, end - trainer.step));
        await trainer.trainEach(tensors);
        tf.dispose(tensors);
      }
      await batches.dispose();
    },
    dispose() {
      trainer.dispose();
      dispose();
    },
  };
}

/** Which coupling a student is trained under; `uses` is NFM's with four steps to each pair, `pool` with z encoded before. */
export type StudentKind = "fm" | "sdfm" | "nfm" | "uses" | "pool";

export async function studentSteps(shape: BenchShape, kind: StudentKind): Promise<BenchSubject> {
  const { image, classes, studentBatch } = shape;
  const rng = createRng(0), dataset = noiseDataset(shape), definition = sit(shape.student, image, classes);
  const flow = tarflow(shape.teacher, image, classes);
  const flat = tf.tensor1d(initialize(flow.specs, rng.fork("teacher")));
  const inputs = { dataset, rng, flips: false, teacher: { flow: bindFlow(flow, flat), noiseStd } };
  // A potential after few steps costs as much to draw from as a fitted one.
  const few = { chiSquared: 50, maxDrawsPerPoint: 0.01 };
  const coupling = kind === "fm"
    ? await couplings.independent.build(inputs, {})
    : kind === "sdfm"
    ? await couplings.semidiscrete.build(inputs, couplings.semidiscrete.options.parse(few))
    : await couplings.normalizingFlow.build(
      inputs,
      couplings.normalizingFlow.options.parse({ sigmaSamples: 64, ...(kind === "pool" && { draws: 1, pool: true }) }),
    );
  const pairUses = kind === "uses" ? 4 : 1;
  const { batch, dispose } = studentBatches(coupling, rng, { size: studentBatch, pairUses, apart: 1, ...times });
  return steps({ name: `student ${kind}`, specs: definition.specs, loss: flowMatchingLoss(definition), batch }, () => {
    void dispose();
    coupling.dispose();
    flat.dispose();
  });
}

export function teacherSteps(shape: BenchShape): BenchSubject {
  const { image, classes, teacherBatch } = shape;
  const rng = createRng(0), dataset = noiseDataset(shape), flow = tarflow(shape.teacher, image, classes);
  const batch = async (step: number) => {
    const key = rng.fork("batch").at(step);
    const images = await dataset.gather(key.integers(teacherBatch, dataset.size));
    return maxLikelihoodBatch(images, image, key, { noiseStd, labelDropout: times.labelDropout });
  };
  return steps({ name: "teacher", specs: flow.specs, loss: maxLikelihoodLoss(flow), batch });
}

function start({ image, classes }: BenchShape, batch: number) {
  const noise = tf.tensor(createRng(0).normal(batch * sizeOf(image)), [batch, ...image]);
  return { noise, labels: tf.tensor1d(balancedLabels(batch, classes), "int32") };
}

export function sampling(shape: BenchShape, batch: number, nfe: number): BenchSubject {
  const definition = sit(shape.student, shape.image, shape.classes);
  const flat = tf.tensor1d(initialize(definition.specs, createRng(0)));
  const field = unguided(bindVelocity(definition, flat)), solver = sampler({ method: "heun", nfe });
  const { noise, labels } = start(shape, batch);
  return each(async () => {
    const { data } = await solver.sample(field, noise, labels);
    await data.data();
    data.dispose();
  }, () => tf.dispose([flat, noise, labels]));
}

export function decoding(shape: BenchShape, batch: number): BenchSubject {
  const definition = tarflow(shape.teacher, shape.image, shape.classes);
  const flat = tf.tensor1d(initialize(definition.specs, createRng(0)));
  const flow = bindFlow(definition, flat), { noise, labels } = start(shape, batch);
  return each(async () => {
    const data = flow.decode(noise, labels);
    await data.data();
    data.dispose();
  }, () => tf.dispose([flat, noise, labels]));
}

/** Noise samples of a step of the fit, and of an assignment. */
const fitBatch = 512;

async function placed({ image, points: count }: BenchShape, rng: Rng) {
  const dimension = sizeOf(image), features = { dimension };
  const points = await loadPoints(pointsInMemory(rng.fork("points").normal(count * dimension), dimension), features);
  const potential = placePotential(points, new Float32Array(count));
  const rows = noiseRows(features, rng.fork("noise").normal(fitBatch * dimension));
  const dispose = () => {
    points.dispose();
    tf.dispose([...potential, rows]);
  };
  return { points, potential, rows, dispose };
}

export async function fitting(shape: BenchShape): Promise<BenchSubject> {
  const rng = createRng(0), { points, potential, rows, dispose } = await placed(shape, rng);
  const { features } = points, grouping = groupingOf(features, fitBatch), { directions } = grouping;
  const leading = directions > 0 ? await leadingDirections([points], directions, rng.fork("leading")) : undefined;
  const noise = drawGroups((count) => rows.slice([0, 0], [count, -1]), features, grouping, leading, rng);
  const along = { ofPoints: leading?.ofPoints[0] };
  return each(async () => void await softShares(points, potential, noise, 1, along), () => {
    tf.dispose({ ...noise });
    leading?.dispose();
    dispose();
  });
}

export async function assigning(shape: BenchShape): Promise<BenchSubject> {
  const { points, potential, rows, dispose } = await placed(shape, createRng(0));
  return each(async () => void await assign(points, potential, rows), dispose);
}

export function extracting({ image, classes }: BenchShape): BenchSubject {
  const specs = featureParameters(image, classes);
  const network = createClassifier(image, classes, initialize(specs, createRng(0)));
  const images = createRng(1).normal(network.batch * sizeOf(image));
  return each(async () => void await network.features(images), () => network.dispose());
}

/** Random filters of a size that keeps the values' own. */
export function extractingInception(batch: number): BenchSubject {
  const layers = convolutions().map(({ name, inputs, outputs, kernel }) => {
    const filterShape = [...kernel, inputs, outputs] as const, inWindow = sizeOf(filterShape) / outputs;
    const filter = createRng(0).fork(name).normal(sizeOf(filterShape)).map((x) => x * Math.sqrt(2 / inWindow));
    return { name, filterShape, filter, bias: new Float32Array(outputs) };
  });
  const shape = [3, inceptionSide, inceptionSide] as const;
  const network = createInception({ layers, digest: "random" }, shape, { ...inceptionDefaults, batch });
  const images = Float32Array.from(createRng(1).uniform(batch * sizeOf(shape)), (u) => 2 * u - 1);
  return each(async () => void await network.features(images), () => network.dispose());
}

/** Noise in the place of images: nothing is timed that depends on what they show. */
function noiseDataset({ image, classes, points }: BenchShape): Dataset {
  const dimension = sizeOf(image), pixels = createRng(0).fork("images").normal(points * dimension);
  const labels = balancedLabels(points, classes);
  return {
    name: "noise",
    split: "train",
    size: points,
    shape: image,
    classes,
    digest: hashOf({ image, classes, points }),
    labels,
    gather(rows) {
      const data = new Float32Array(rows.length * dimension);
      rows.forEach((row, i) => data.set(pixels.subarray(row * dimension, (row + 1) * dimension), i * dimension));
      return Promise.resolve({ data, labels: Int32Array.from(rows, (row) => labels[row]!) });
    },
  };
}
