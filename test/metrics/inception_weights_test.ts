import { assertAlmostEquals, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { hashFile } from "../../lib/core/hash.ts";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { foldTensors, inceptionTensors, readInceptionWeights } from "../../lib/metrics/inception_weights.ts";
import { sizeOf } from "../../lib/nn/parameters.ts";
import { type StoredTensor, writeSafetensors } from "../../lib/training/safetensors.ts";
import { readTensors, requireTensors } from "../../lib/training/tensor_file.ts";

const folder = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

const values = Float32Array.from({ length: 3_000_000 }, (_, i) => (i * 7 % 11 + 1) / 11);

/** Tensors of the right names and shapes; one block of values serves them all. */
function someTensors(): Map<string, StoredTensor> {
  return new Map(
    inceptionTensors().map(({ name, shape }) => [name, { shape, data: values.subarray(0, sizeOf(shape)) }]),
  );
}

Deno.test("a whole weight file is read by its digest, whatever wrote it, and no other is", async () => {
  const path = `${folder}/copy.safetensors`, tensors = someTensors();
  await writeSafetensors(path, [...tensors, ["Conv2d_1a_3x3.bn.num_batches_tracked", {
    shape: [],
    data: Float32Array.of(0),
  }]]);
  const sha256 = await hashFile(path);
  const read = await readInceptionWeights(path, sha256);
  assertEquals([read.layers.length, read.digest], [94, foldTensors(tensors).digest]);
  const { message } = await assertRejects(() => readInceptionWeights(path), Problem);
  assertStringIncludes(
    message,
    `Cannot use ${path} as weights of the Inception network of FID: its SHA-256 is ${sha256} instead of 6726825d`,
  );
  assertStringIncludes(message, "FID's own is pt_inception-2015-12-05-6726825d.pth");
  const bytes = await Deno.readFile(path);
  await Deno.writeFile(path, bytes.subarray(0, bytes.length / 2));
  await assertRejects(() => readInceptionWeights(path), Problem, "the file is cut short");
});

Deno.test("a foreign weight file gets one sentence that says which tensor is amiss and where the right file is", async () => {
  const path = `${folder}/foreign.safetensors`;
  await writeSafetensors(path, [["patch_embed.proj.weight", { shape: [1], data: Float32Array.of(1) }]]);
  const { message, exitCode } = await assertRejects(() => readInceptionWeights(path), Problem);
  assertStringIncludes(
    message,
    `Cannot use ${path} as weights of the Inception network of FID: ` +
      'its tensor "Conv2d_1a_3x3.conv.weight" is missing (and 470 more); FID\'s own is',
  );
  assertEquals(exitCode, 74);
  const missing = await assertRejects(() => readInceptionWeights(`${folder}/none.pth`), Problem);
  assertStringIncludes(missing.message, `Cannot read ${folder}/none.pth: it does not exist; FID's own is`);
  assertEquals(missing.exitCode, 2);
});

Deno.test("requireTensors() names the tensor that is missing, extra or of another shape", async (t) => {
  const check = (change: (tensors: Map<string, StoredTensor>) => void) => {
    const tensors = someTensors();
    change(tensors);
    requireTensors(tensors, inceptionTensors(), {
      path: "w.pth",
      what: "Inception",
      ignored: (name) => name.endsWith(".counter"),
    });
  };
  const one = { shape: [1], data: Float32Array.of(1) };
  check((tensors) => tensors.delete("fc.bias"));
  check((tensors) => tensors.set("some.counter", one));
  const refused: [string, (tensors: Map<string, StoredTensor>) => unknown][] = [
    ['"Mixed_5b.branch1x1.bn.bias" is missing', (tensors) => tensors.delete("Mixed_5b.branch1x1.bn.bias")],
    ['"AuxLogits.fc.bias" is extra', (tensors) => tensors.set("AuxLogits.fc.bias", one)],
    ['"fc.bias" has shape [1] instead of [1008]', (tensors) => tensors.set("fc.bias", one)],
    // Of torchvision's own Inception: 1000 classes and a second head.
    [
      '"fc.weight" has shape [1000,2048] instead of [1008,2048] (and 1 more)',
      (tensors) => tensors.set("fc.weight", { ...one, shape: [1000, 2048] }).set("AuxLogits.fc.weight", one),
    ],
  ];
  for (const [sentence, change] of refused) {
    await t.step(sentence, () => {
      const { message } = assertThrows(() => check(change), Problem);
      assertEquals(message, `Cannot use w.pth as weights of Inception: its tensor ${sentence}`);
    });
  }
});

Deno.test("readTensors() reads both formats by their content, not their name", async () => {
  const fixture = new URL("../fixtures/pytorch/zip.pt", import.meta.url).pathname;
  const tensors = await readTensors(fixture);
  await Deno.copyFile(fixture, `${folder}/named.safetensors`);
  assertEquals(await readTensors(`${folder}/named.safetensors`), tensors);
  await writeSafetensors(`${folder}/named.pth`, tensors);
  const again = await readTensors(`${folder}/named.pth`);
  assertEquals(
    [...again].map(([name, { data }]) => [name, data]),
    [...tensors].map(([name, { data }]) => [name, data]),
  );
  await assertRejects(() => readTensors(`${folder}/none`), Problem, "it does not exist");
  await Deno.writeTextFile(`${folder}/empty`, "");
  await assertRejects(() => readTensors(`${folder}/empty`), Problem, "Cannot use");
});

Deno.test("foldTensors() gives convolutions that are the reference's with their normalisation", () => {
  const tensors = someTensors();
  for (const [i, { name, shape }] of inceptionTensors().slice(0, 5).entries()) {
    tensors.set(name, { shape, data: Float32Array.from(createRng(i).uniform(sizeOf(shape)), (u) => u + 0.1) });
  }
  const { filter, filterShape, bias } = foldTensors(tensors).layers[0]!;
  assertEquals(filterShape, [3, 3, 3, 32]);
  const part = (name: string) => tensors.get(`Conv2d_1a_3x3.${name}`)!.data;
  const patch = createRng(0).normal(27); // [in, height, width]
  for (const out of [0, 7, 31]) {
    let plain = 0, folded = bias[out]!;
    for (let i = 0; i < 3; i++) {
      for (let at = 0; at < 9; at++) {
        plain += part("conv.weight")[out * 27 + i * 9 + at]! * patch[i * 9 + at]!;
        folded += filter[(at * 3 + i) * 32 + out]! * patch[i * 9 + at]!;
      }
    }
    const deviation = Math.sqrt(part("bn.running_var")[out]! + 0.001);
    const expected = part("bn.weight")[out]! * (plain - part("bn.running_mean")[out]!) / deviation +
      part("bn.bias")[out]!;
    assertAlmostEquals(folded, expected, 1e-5);
  }
});
