import { assert, assertEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { countWork } from "../../lib/engine/counting/mod.ts";
import { type Tensor, type Tensors, tf, trace } from "../../lib/engine/mod.ts";
import { recomputed } from "../../lib/engine/recompute.ts";
import { denoiseWork, encodeWork } from "../../lib/models/cost.ts";
import { sit } from "../../lib/models/sit.ts";
import { tarflow } from "../../lib/models/tarflow.ts";
import { initialize, parameterCount, unpack } from "../../lib/nn/parameters.ts";
import { studentTrainee, teacherTrainee, type Trainee } from "../../lib/training/step_cost.ts";
import { relativeError } from "../golden/fill.ts";
import { testOnEngines } from "../engines.ts";

const shape = [3, 16, 16] as const, classes = 4;
const models: Readonly<Record<string, (recompute: boolean) => Trainee>> = {
  sit: (recompute) =>
    studentTrainee(sit({ patch: 4, width: 32, depth: 6, heads: 2, recompute }, shape, classes), shape),
  tarflow: (recompute) =>
    teacherTrainee(tarflow({ patch: 4, width: 32, headWidth: 16, blocks: [3, 3], recompute }, shape, classes), shape),
};

function gradient({ specs, loss }: Trainee, { flat, ...batch }: Tensors) {
  const { value, grad } = tf.valueAndGrad((x: Tensor) => loss(unpack(x, specs), batch) as ReturnType<typeof tf.scalar>)(
    flat!,
  );
  return { value, grad };
}

function batchOf({ batchOf }: Trainee): Tensors {
  const outlines = Object.entries(batchOf(3));
  return Object.fromEntries(outlines.map(([name, { shape, dtype = "float32" }]) => {
    const size = shape.reduce((product, n) => product * n, 1), rng = createRng(7).fork(name);
    const values = dtype === "int32"
      ? rng.integers(size, classes)
      : name === "t"
      ? rng.uniform(size)
      : rng.normal(size);
    return [name, tf.tensor(Float32Array.from(values), [...shape], dtype)] as const;
  }));
}

for (const [name, modelOf] of Object.entries(models)) {
  testOnEngines(
    `${name} has the same loss and gradient where its layers are computed again, recorded or not`,
    async () => {
      const kept = modelOf(false), again = modelOf(true);
      // Away from the start, where gates and outputs are zero.
      const start = initialize(kept.specs, createRng(1)), noise = createRng(2).normal(start.length);
      const flat = tf.tensor1d(start.map((x, i) => x + 0.05 * noise[i]!));
      const inputs = { flat, ...batchOf(kept) };
      const results: Float32Array[][] = [];
      for (const model of [kept, again]) {
        const recorded = trace<Tensors, { value: Tensor; grad: Tensor }>("gradient", (given) => gradient(model, given));
        for (const run of [recorded, (given: Tensors) => tf.tidy(() => gradient(model, given))]) {
          const { value, grad } = run(inputs);
          results.push([await value.data<"float32">(), await grad.data<"float32">()]);
          tf.dispose([value, grad]);
        }
      }
      for (const [value, grad] of results) {
        assert(relativeError(value!, results[0]![0]!) < 1e-5, `${value} of ${results[0]![0]}`);
        assert(relativeError(grad!, results[0]![1]!) < 1e-4, `${relativeError(grad!, results[0]![1]!)}`);
      }
      tf.dispose(inputs);
    },
  );

  Deno.test(`${name} keeps a fraction of its activations where they are computed again, for a third more operations`, async () => {
    const workOf = (model: Trainee) =>
      countWork(
        { flat: { shape: [parameterCount(model.specs)] }, ...model.batchOf(64) },
        (inputs) => gradient(model, inputs),
      );
    const [kept, again] = [await workOf(modelOf(false)), await workOf(modelOf(true))];
    assert(again.peakBytes < 0.5 * kept.peakBytes, `${again.peakBytes} of ${kept.peakBytes}`);
    assert(again.flops > 1.1 * kept.flops && again.flops < 1.34 * kept.flops, `${again.flops} of ${kept.flops}`);
  });
}

Deno.test("the teacher's score step keeps less too, and what has no gradient nothing less", async () => {
  const [kept, again] = [false, true].map((recompute) =>
    tarflow({ patch: 4, width: 32, headWidth: 16, blocks: [3, 3], recompute }, shape, classes)
  );
  assert((await denoiseWork(again!, shape, 64)).peakBytes < 0.5 * (await denoiseWork(kept!, shape, 64)).peakBytes);
  assertEquals(await encodeWork(again!, shape), await encodeWork(kept!, shape));
});

testOnEngines("recomputed() leaves a gradient around it whole, and leaks nothing", () => {
  const square = recomputed(({ x, w }) => tf.mul(tf.square(x!), w!));
  const before = tf.memory().numTensors;
  const [dx, dw] = tf.tidy(() => {
    const loss = (x: Tensor, w: Tensor) => {
      // Before, between and after: tensors of the outer gradient that the inner ones must not end.
      const first = square({ x: tf.mul(x, 2), w }), second = square({ x: tf.exp(first), w });
      return tf.sum(tf.mul(second, x)) as ReturnType<typeof tf.scalar>;
    };
    const plain = (x: Tensor, w: Tensor) => {
      const first = tf.mul(tf.square(tf.mul(x, 2)), w), second = tf.mul(tf.square(tf.exp(first)), w);
      return tf.sum(tf.mul(second, x)) as ReturnType<typeof tf.scalar>;
    };
    const at = [tf.tensor1d([0.1, -0.3, 0.5]), tf.tensor1d([0.7, 0.2, -0.4])] as Tensor[];
    const [found, expected] = [loss, plain].map((f) => tf.grads((x, w) => f(x!, w!))(at));
    return [0, 1].map((
      i,
    ) => [[...found![i]!.dataSync()], [...expected![i]!.dataSync()]]) as unknown as tf.TensorContainer;
  }) as unknown as [number[][], number[][]];
  for (const [found, expected] of [dx, dw]) assert(relativeError(found!, expected!) < 1e-6);
  assertEquals(tf.memory().numTensors, before);
});
