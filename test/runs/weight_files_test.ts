import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { inceptionReference } from "../../lib/metrics/inception_reference.ts";
import { inceptionTensors, readInceptionWeights } from "../../lib/metrics/inception_weights.ts";
import { autoencoderKl } from "../../lib/models/autoencoder_kl.ts";
import type { Reference } from "../../lib/models/reference_layout.ts";
import * as references from "../../lib/models/references.ts";
import { sit } from "../../lib/models/sit.ts";
import { tarflow } from "../../lib/models/tarflow.ts";
import { initialize, type ParameterSpec, sizeOf } from "../../lib/nn/parameters.ts";
import { readReferenceWeights, referenceMark } from "../../lib/runs/reference_weights.ts";
import { toReference } from "../../lib/training/reference_tensors.ts";
import { encodeSafetensors, type StoredTensor } from "../../lib/training/safetensors.ts";
import { namedTensors } from "../../lib/training/weights.ts";
import { torchSave } from "../training/torch_save.ts";

/**
 * Whatever is wrong with a file of published weights, one sentence says what
 * and in which file: for every model of the registry, in both formats.
 */
type Tensors = Map<string, StoredTensor>;

/** A small model's weights as its reference publishes them. */
function published(reference: Reference, specs: readonly ParameterSpec[]): Tensors {
  const flat = initialize(specs, createRng(0));
  const shapes = new Map([...namedTensors(specs, flat)].map(([name, { shape }]) => [name, shape]));
  return new Map(toReference(reference.layoutOf(shapes, { size: 8, learnSigma: true }), flat));
}

/** Views of one memory: a PyTorch file stores it once. */
function inception(): Tensors {
  const tensors = inceptionTensors(), values = new Float32Array(Math.max(...tensors.map(({ shape }) => sizeOf(shape))));
  return new Map(tensors.map(({ name, shape }) => [name, { shape, data: values.subarray(0, sizeOf(shape)) }]));
}

const small = {
  tarflow: tarflow({ patch: 2, width: 8, headWidth: 4, blocks: [1, 2] }, [1, 4, 4], 3),
  sit: sit({ patch: 4, width: 8, depth: 2, heads: 2 }, [3, 8, 8], 5),
  autoencoderKl: autoencoderKl({ widths: [2, 4], layers: 1, groups: 1 }, [3, 8, 8]),
} satisfies Record<keyof typeof references, unknown>;

interface Kind {
  readonly reference: Reference;
  readonly file: () => Tensors;
  readonly read: (path: string) => Promise<unknown>;
}
const kinds: Readonly<Record<string, Kind>> = {
  ...Object.fromEntries(
    Object.entries(references).map(([name, reference]) => [name, {
      reference,
      file: () => published(reference, small[name as keyof typeof references].specs),
      read: (path: string) => readReferenceWeights(path, reference),
    }]),
  ),
  "inception, for FID": { reference: inceptionReference, file: inception, read: (path) => readInceptionWeights(path) },
  "inception, to convert": {
    reference: inceptionReference,
    file: inception,
    read: (path) => readReferenceWeights(path, inceptionReference),
  },
};

const formats = {
  "pth": torchSave,
  "safetensors": (tensors: Tensors) => Promise.resolve(encodeSafetensors(tensors, referenceMark)),
};

const one: StoredTensor = { shape: [1], data: Float32Array.of(1) };
/** A tensor that sizes are not read from. */
const plain = (tensors: Tensors) => [...tensors.keys()].find((name) => plainNames.has(name))!;
const plainNames = new Set([
  "blocks.1.attn_blocks.0.attention.qkv.weight",
  "blocks.1.mlp.fc1.weight",
  "decoder.up_blocks.1.resnets.1.conv2.weight",
  "Mixed_7c.branch1x1.conv.weight",
]);

type Fault = readonly [
  change: (tensors: Tensors) => Tensors | void,
  sentence: (name: string, intact: Tensors) => string,
];
const faults: Readonly<Record<string, Fault>> = {
  missing: [(tensors) => void tensors.delete(plain(tensors)), (name) => `its tensor "${name}" is missing`],
  extra: [(tensors) => void tensors.set("head.bias", one), () => `its tensor "head.bias" is extra`],
  "of another shape": [
    (tensors) => void tensors.set(plain(tensors), one),
    (name, intact) => `its tensor "${name}" has shape [1] instead of [${intact.get(name)!.shape}]`,
  ],
  "of another network": [() => new Map([["conv.weight", one], ["conv.bias", one]]), () => `" is missing`],
};

for (const [kind, { reference, file, read }] of Object.entries(kinds)) {
  for (const [format, write] of Object.entries(formats)) {
    Deno.test(`a wrong file of ${kind} in ${format} is one sentence`, async (t) => {
      const folder = await Deno.makeTempDir(), path = `${folder}/w.${format}`;
      const intact = file(), name = plain(intact);
      const refused = async (bytes: Uint8Array, sentence: string) => {
        await Deno.writeFile(path, bytes);
        const { message, exitCode } = await assertRejects(() => read(path), Problem);
        assertStringIncludes(message, sentence);
        assertStringIncludes(message, `Cannot use ${path}`);
        assert(message.endsWith(`; ${reference.published}`), message);
        assert(!message.includes("\n") && message.length < 500, message);
        assertEquals(exitCode, 74);
      };
      const whole = await write(intact);
      for (const [fault, [change, sentence]] of Object.entries(faults)) {
        await t.step(fault, async () => {
          const changed = new Map(intact);
          await refused(await write(change(changed) ?? changed), sentence(name, intact));
        });
      }
      await t.step("cut short", () => refused(whole.subarray(0, whole.length >> 1), "cut short"));
      await t.step(
        "no weights at all",
        () => refused(new TextEncoder().encode("<!DOCTYPE html>\n"), "it begins neither"),
      );
      await Deno.remove(folder, { recursive: true });
    });
  }
}

Deno.test("a tensor of any other shape is one sentence, also where sizes are read from it", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/w.safetensors`;
  for (const { reference, file, read } of Object.values(kinds).slice(0, 3)) {
    const intact = file();
    for (const [name, { shape, data }] of intact) {
      for (const other of [[], [1], [0], [...shape, 1], shape.toReversed(), [sizeOf(shape)], shape.map((n) => n + 1)]) {
        if (other.join() === shape.join()) continue;
        const values = new Float32Array(sizeOf(other));
        values.set(data.subarray(0, values.length));
        await Deno.writeFile(
          path,
          encodeSafetensors(new Map(intact).set(name, { shape: other, data: values }), referenceMark),
        );
        const { message } = await assertRejects(() => read(path), Problem);
        assert(message.startsWith(`Cannot use ${path}`) && message.endsWith(reference.published), message);
        assert(message.includes("tensor") && message.length < 500, message);
      }
    }
  }
  await Deno.remove(folder, { recursive: true });
});
