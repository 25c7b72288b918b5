import { assert, assertEquals, assertRejects } from "@std/assert";
import { countWork } from "../../lib/engine/counting/mod.ts";
import { kernels } from "../../lib/engine/counting/shapes.ts";
import { peakBytes } from "../../lib/engine/counting/memory.ts";
import { openEngine, type Tensor, type Tensors, tf } from "../../lib/engine/mod.ts";
import { createRng } from "../../lib/core/rng.ts";
import { autoencoderKl } from "../../lib/models/autoencoder_kl.ts";
import { convolutional } from "../../lib/models/convolutional.ts";
import { sit } from "../../lib/models/sit.ts";
import { tarflow } from "../../lib/models/tarflow.ts";
import { initialize, unpack } from "../../lib/nn/parameters.ts";
import { autoencoderTrainee, studentTrainee, teacherTrainee, type Trainee } from "../../lib/training/step_cost.ts";
import { executedOperations, flopsOf } from "./executed_operations.ts";

const engine = await openEngine("auto");
const onNative = { ignore: engine.kind !== "native" };

/** Loss and gradient of a model as the trainer asks for them. */
function gradient({ specs, loss }: Trainee, { flat, ...batch }: Tensors): Tensors {
  const { value, grad } = tf.valueAndGrad((x: Tensor) => loss(unpack(x, specs), batch) as ReturnType<typeof tf.scalar>)(
    flat!,
  );
  return { value, grad };
}

const shape = [3, 16, 16] as const, classes = 5;
const trainees: Readonly<Record<string, Trainee>> = {
  sit: studentTrainee(sit({ patch: 4, width: 32, depth: 3, heads: 2 }, shape, classes), shape),
  tarflow: teacherTrainee(tarflow({ patch: 4, width: 32, headWidth: 16, blocks: [1, 2, 3] }, shape, classes), shape),
  autoencoderKl: autoencoderTrainee(autoencoderKl({ widths: [8, 16], layers: 1, groups: 4 }, shape), shape),
  convolutional: autoencoderTrainee(convolutional({ latentChannels: 2, widths: [8, 8], blocks: 1 }, shape), shape),
};

for (const [name, trainee] of Object.entries(trainees)) {
  Deno.test({
    name: `countWork() finds the operations that a training step of ${name} executes`,
    ...onNative,
    async fn() {
      const outlines = trainee.batchOf(3);
      const flat = initialize(trainee.specs, createRng(0));
      const { flops } = await countWork(
        { flat: { shape: [flat.length] }, ...outlines },
        (inputs) => gradient(trainee, inputs),
      );
      const executed = executedOperations(() => {
        const batch = Object.entries(outlines).map(([key, { shape, dtype = "float32" }]) => {
          return [key, tf.zeros([...shape], dtype)] as const;
        });
        return gradient(trainee, { flat: tf.tensor1d(flat), ...Object.fromEntries(batch) });
      });
      assertEquals(flops, executed.reduce((sum, operation) => sum + flopsOf(operation), 0));
      assert(flops > 0);
    },
  });
}

Deno.test("countWork() leaves the engine as it was, and needs none", async () => {
  const backend = tf.getBackend(), { numTensors } = tf.memory();
  const square = ({ x }: Tensors) => ({ y: tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D) });
  const work = await countWork({ x: { shape: [8, 8] } }, square);
  assertEquals(work, { flops: 2 * 8 ** 3, peakBytes: 2 * 4 * 64 });
  assertEquals([tf.getBackend(), tf.memory().numTensors], [backend, numTensors]);
  assertEquals([...tf.add(1, 1).dataSync()], [2]);
});

Deno.test("countWork() counts a model too large for any machine in no time and room", async () => {
  const side = 2 ** 20;
  const { flops, peakBytes } = await countWork(
    { x: { shape: [side, side] } },
    ({ x }) => ({ y: tf.relu(tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D, false, true)).sum() }),
  );
  assertEquals([flops, peakBytes], [2 * side ** 3, 2 * 4 * side ** 2 + 4]);
});

Deno.test("countWork() refuses values, tensors from outside and operations of unknown shape", async () => {
  const x = { shape: [4] }, outside = tf.ones([4]);
  await assertRejects(
    () => countWork({ x }, ({ x }) => ({ y: tf.scalar(x!.dataSync()[0]!) })),
    Error,
    "reads the value",
  );
  await assertRejects(() => countWork({ x }, ({ x }) => ({ y: x!.add(outside) })), Error, "came from outside");
  await assertRejects(() => countWork({ x }, ({ x }) => ({ y: tf.asinh(x!) })), Error, "Asinh");
  outside.dispose();
});

Deno.test("kernels have the shapes that the engine gives", async () => {
  const images = () => tf.ones([2, 6, 6, 4]) as tf.Tensor4D, filter = () => tf.ones([3, 3, 4, 5]) as tf.Tensor4D;
  const bodies: Readonly<Record<string, () => Tensor | Tensor[]>> = {
    "a sum over axes": () => images().sum([1, -1]),
    "a mean that keeps its axes": () => images().mean([0, 2], true),
    "a largest value": () => images().max(3),
    "a product of many": () => tf.matMul(tf.ones([2, 1, 3, 4]), tf.ones([5, 6, 4]), false, true),
    "uneven pieces": () => tf.split(tf.ones([2, 7]) as tf.Tensor2D, [3, 4], -1),
    "even pieces": () => tf.split(images(), 2, 1),
    "pieces joined": () => tf.concat([tf.ones([2, 3]), tf.ones([2, 5])], -1),
    "a stack": () => tf.stack([tf.ones([2, 3]), tf.ones([2, 3])], 1),
    "a stack taken apart": () => tf.unstack(tf.ones([2, 3, 4]), 1),
    "a part": () => tf.slice(images(), [0, 1, 2, 0], [2, 3, -1, 1]),
    "a frame": () => tf.pad(tf.ones([2, 3]), [[1, 2], [0, 3]]),
    "copies": () => tf.tile(tf.ones([2, 3]), [2, 4]),
    "one hot": () => tf.oneHot(tf.tensor1d([0, 2], "int32"), 4),
    "axes exchanged": () => tf.transpose(images(), [3, 0, 1, 2]),
    "an axis more": () => tf.expandDims(tf.ones([2, 3]), -1),
    "rows chosen": () => tf.gather(tf.ones([5, 3]), tf.tensor1d([1, 2, 2], "int32")),
    "an implicit shape": () => images().reshape([2, -1]),
    "a convolution": () => tf.conv2d(images(), filter(), 2, "valid"),
    "a pool": () => tf.maxPool(images(), 3, 2, "valid"),
    "a mean pool": () => tf.avgPool(images(), 3, 1, "same"),
    "twice the side": () => tf.image.resizeNearestNeighbor(images(), [12, 12]),
    "a choice": () => tf.where(tf.ones([2, 3]).greater(2), tf.zeros([2, 3]), tf.ones([2, 3])),
    "a broadcast": () => tf.ones([2, 1, 4]).sub(tf.ones([3, 1])),
  };
  for (const [name, body] of Object.entries(bodies)) {
    const found: number[][] = [];
    await countWork({ unused: { shape: [1] } }, () => {
      found.push(...[body()].flat().map(({ shape }) => shape));
      return {};
    });
    assertEquals(found, tf.tidy(() => [body()].flat().map(({ shape }) => shape)), name);
  }
  assert(Object.keys(kernels).length > 60);
});

Deno.test("peakBytes() drops what is not needed again, works in place, and leaves out what no result needs", () => {
  const [x, a, b, c, unused] = ["x", "a", "b", "c", "unused"].map((name) => ({ name })) as [
    object,
    object,
    object,
    object,
    object,
  ];
  const bytes = new Map([[x, 1], [a, 10], [b, 10], [c, 100], [unused, 1000]]);
  const common = { bytes, lasting: new Set([x]), results: new Set([c]) };
  const step = (inputs: object[], outputs: object[], inPlace = false) => ({ inputs, outputs, inPlace, flops: 0 });
  const chain = [step([x], [a]), step([x], [unused]), step([a], [b]), step([b], [c])];
  assertEquals(peakBytes({ ...common, steps: chain }), 1 + 10 + 100);
  const kept = [step([x], [a]), step([a], [b]), step([a, b], [c])];
  assertEquals(peakBytes({ ...common, steps: kept }), 1 + 10 + 10 + 100);
  const inPlace = [step([x], [a]), step([a], [b], true), step([x], [c])];
  assertEquals(peakBytes({ ...common, steps: inPlace, results: new Set([b, c]) }), 1 + 10 + 100);
  assertEquals(peakBytes({ ...common, steps: [step([x], [a]), step([a], [a]), step([a], [c])] }), 1 + 10 + 100);
});
