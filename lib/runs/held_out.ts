import { createRng } from "../core/rng.ts";
import { tf } from "../engine/mod.ts";
import { encodeSplit } from "../metrics/encode.ts";
import { sizeOf } from "../nn/parameters.ts";
import type { HeldOut } from "./cell.ts";
import { teacherBatch, type TeacherInputs } from "./teacher_inputs.ts";

/** z of held-out images, `[count, …shape]`: what the student would have to be fed. */
export async function heldOutNoise({ bench: { test }, flow, noiseStd, coupling, evaluation }: TeacherInputs) {
  const rows = Math.min(evaluation.images, test.size), dims = sizeOf(test.shape);
  const noise = new Float32Array(rows * dims), labels = new Int32Array(rows);
  let row = 0;
  const inputs = {
    flow,
    dataset: test,
    noiseStd,
    batchSize: teacherBatch,
    rng: createRng(0).fork("heldOut"),
    limit: rows,
  };
  for await (const encoded of encodeSplit(inputs)) {
    const count = encoded.labels.length;
    const z = tf.tidy(() =>
      coupling.toNoise!(tf.tensor(encoded.noise, [count, ...test.shape]), tf.tensor1d(encoded.labels, "int32"))
    );
    noise.set(await z.data<"float32">(), row * dims);
    labels.set(encoded.labels, row);
    z.dispose();
    row += count;
  }
  return { noise, labels } satisfies HeldOut;
}
