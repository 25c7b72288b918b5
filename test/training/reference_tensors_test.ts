import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import { autoencoderKl } from "../../lib/models/autoencoder_kl.ts";
import { bindFlow, bindVelocity } from "../../lib/models/bind.ts";
import { inceptionReference } from "../../lib/metrics/inception_reference.ts";
import { inceptionTensors } from "../../lib/metrics/inception_weights.ts";
import type { Reference } from "../../lib/models/reference_layout.ts";
import * as references from "../../lib/models/references.ts";
import { sit } from "../../lib/models/sit.ts";
import { tarflow } from "../../lib/models/tarflow.ts";
import { gridFeatures } from "../../lib/nn/embeddings.ts";
import { type ImageShape, patchify } from "../../lib/nn/patches.ts";
import { sizeOf } from "../../lib/nn/parameters.ts";
import { fromReference, toReference } from "../../lib/training/reference_tensors.ts";
import type { StoredTensor } from "../../lib/training/safetensors.ts";
import sitSmall from "../golden/sit-small.json" with { type: "json" };
import tarflowSmall from "../golden/tarflow-small.json" with { type: "json" };
import { fill, type GoldenParameter, relativeError } from "../golden/fill.ts";
import { testOnEngines } from "../engines.ts";

type Tensors = Map<string, StoredTensor>;

const golden = (params: readonly GoldenParameter[]): Tensors =>
  new Map(params.map(({ name, shape, scale, offset }) => [name, { shape, data: fill(name, shape, scale, offset) }]));

const shapesOf = (tensors: Tensors) => new Map([...tensors].map(([name, { shape }]) => [name, shape]));

function read(reference: Reference, tensors: Tensors) {
  const layout = reference.layoutOf(shapesOf(tensors));
  return { layout, flat: fromReference(layout, tensors, "w.pt") };
}

const positions = (side: number, width: number) =>
  tf.tidy(() => gridFeatures(side, side, width).dataSync() as Float32Array);

/** SiT's own file: the position embedding beside the parameters, the variance output behind each pixel's channels. */
function sitFile(learnSigma: boolean): Tensors {
  const { config } = sitSmall, { hidden_size: width, in_channels: channels } = config;
  const tensors = golden(sitSmall.params);
  const side = config.input_size / config.patch_size;
  tensors.set("pos_embed", { shape: [1, side * side, width], data: positions(side, width) });
  if (!learnSigma) return tensors;
  for (const name of ["final_layer.linear.weight", "final_layer.linear.bias"]) {
    const { shape, data } = tensors.get(name)!;
    const run = data.length / shape[0]! * channels;
    const doubled = Array.from({ length: shape[0]! / channels }, (_, pixel) => {
      const kept = data.subarray(pixel * run, (pixel + 1) * run);
      return [...kept, ...kept.map((value) => 5 * value + 1)];
    });
    tensors.set(name, { shape: [2 * shape[0]!, ...shape.slice(1)], data: Float32Array.from(doubled.flat()) });
  }
  return tensors;
}

for (const learnSigma of [false, true]) {
  testOnEngines(
    `weights of SiT ${learnSigma ? "with" : "without"} the variance output give its velocities in our time and sign`,
    () => {
      const { config, seed, batch, y } = sitSmall;
      const shape: ImageShape = [config.in_channels, config.input_size, config.input_size];
      const sizes = { patch: config.patch_size, width: config.hidden_size, depth: config.depth };
      const definition = sit({ ...sizes, heads: config.num_heads }, shape, config.num_classes);
      const { layout, flat } = read(references.sit, sitFile(learnSigma));
      assertEquals(layout.specs, definition.specs);
      tf.tidy(() => {
        const x = tf.tensor(fill(`${seed}/x`, [batch, ...shape], 1.5, 0), [batch, ...shape]);
        const labels = tf.tensor1d(y.map((label) => label === config.num_classes ? -1 : label), "int32");
        const ours = bindVelocity(definition, tf.tensor1d(flat)).velocity(
          x,
          tf.sub(1, tf.tensor1d(sitSmall.t)),
          labels,
        );
        assertLess(relativeError(tf.neg(ours).dataSync(), sitSmall.velocity.data), 1e-4);
      });
    },
  );
}

testOnEngines("weights of TarFlow, with its masks and its prior, encode as TarFlow does", () => {
  const { config, head_dim, seed, batch, y } = tarflowSmall;
  const shape: ImageShape = [config.in_channels, config.img_size, config.img_size];
  const blocks = Array<number>(config.num_blocks).fill(config.layers_per_block);
  const options = { patch: config.patch_size, width: config.channels, headWidth: head_dim, blocks };
  const definition = tarflow(options, shape, config.num_classes);
  const { layout, flat } = read(references.tarflow, tarflowFile());
  assertEquals(layout.specs, definition.specs);
  tf.tidy(() => {
    const data = tf.tensor(fill(`${seed}/x`, [batch, ...shape], 1, 0), [batch, ...shape]);
    const { noise } = bindFlow(definition, tf.tensor1d(flat)).encode(data, tf.tensor1d(y, "int32"));
    assertLess(relativeError(patchify(noise, config.patch_size).dataSync(), tarflowSmall.z.data), 1e-4);
  });
});

function tarflowFile(): Tensors {
  const tensors = golden(tarflowSmall.params);
  const [tokens, tokenWidth] = [16, 4];
  tensors.set("var", { shape: [tokens, tokenWidth], data: new Float32Array(tokens * tokenWidth).fill(1) });
  for (const block of [0, 1]) {
    const mask = Array.from({ length: tokens }, (_, i) => Array.from({ length: tokens }, (_, j) => j <= i ? 1 : 0));
    tensors.set(`blocks.${block}.attn_mask`, { shape: [tokens, tokens], data: Float32Array.from(mask.flat()) });
  }
  return tensors;
}

/** An autoencoder of two levels of one block in the authors' names, each tensor filled after its name. */
function authorsFile(): Tensors {
  const tensors: Tensors = new Map();
  const put = (name: string, shape: number[]) => tensors.set(name, { shape, data: fill(name, shape, 1, 0) });
  const weighted = (name: string, shape: number[]) => [put(`${name}.weight`, shape), put(`${name}.bias`, [shape[0]!])];
  const conv = (name: string, from: number, to: number, side = 3) => weighted(name, [to, from, side, side]);
  const block = (name: string, from: number, to: number) => {
    weighted(`${name}.norm1`, [from]);
    conv(`${name}.conv1`, from, to);
    weighted(`${name}.norm2`, [to]);
    conv(`${name}.conv2`, to, to);
    if (from !== to) conv(`${name}.nin_shortcut`, from, to, 1);
  };
  const middle = (name: string) => {
    block(`${name}.block_1`, 4, 4);
    weighted(`${name}.attn_1.norm`, [4]);
    for (const part of ["q", "k", "v", "proj_out"]) conv(`${name}.attn_1.${part}`, 4, 4, 1);
    block(`${name}.block_2`, 4, 4);
  };
  conv("encoder.conv_in", 3, 2);
  block("encoder.down.0.block.0", 2, 2);
  conv("encoder.down.0.downsample.conv", 2, 2);
  block("encoder.down.1.block.0", 2, 4);
  middle("encoder.mid");
  weighted("encoder.norm_out", [4]);
  conv("encoder.conv_out", 4, 6);
  conv("decoder.conv_in", 3, 4);
  middle("decoder.mid");
  for (const i of [0, 1]) block(`decoder.up.1.block.${i}`, 4, 4);
  conv("decoder.up.1.upsample.conv", 4, 4);
  for (const i of [0, 1]) block(`decoder.up.0.block.${i}`, i === 0 ? 4 : 2, 2);
  weighted("decoder.norm_out", [2]);
  conv("decoder.conv_out", 2, 3);
  conv("quant_conv", 6, 6, 1);
  conv("post_quant_conv", 3, 3, 1);
  put("loss.logvar", [1]);
  return tensors;
}

Deno.test("weights of the autoencoder's authors, and of older diffusers, become those of diffusers", () => {
  const { layout, flat } = read(references.autoencoderKl, authorsFile());
  const definition = autoencoderKl({ widths: [2, 4], layers: 1, groups: 1, latentChannels: 3 }, [3, 8, 8]);
  assertEquals(layout.specs, definition.specs);
  const ours = new Map([...toReference({ ...layout, placeOf: () => ({}) }, flat)]);
  const authors = authorsFile();
  for (
    const [name, theirs] of [
      ["encoder.down_blocks.1.resnets.0.conv_shortcut.weight", "encoder.down.1.block.0.nin_shortcut.weight"],
      ["encoder.down_blocks.0.downsamplers.0.conv.bias", "encoder.down.0.downsample.conv.bias"],
      ["encoder.mid_block.resnets.0.norm1.bias", "encoder.mid.block_1.norm1.bias"],
      ["decoder.mid_block.resnets.1.conv2.weight", "decoder.mid.block_2.conv2.weight"],
      ["decoder.mid_block.attentions.0.group_norm.weight", "decoder.mid.attn_1.norm.weight"],
      ["decoder.mid_block.attentions.0.to_k.weight", "decoder.mid.attn_1.k.weight"],
      ["decoder.mid_block.attentions.0.to_out.0.bias", "decoder.mid.attn_1.proj_out.bias"],
      ["decoder.up_blocks.0.resnets.1.conv1.weight", "decoder.up.1.block.1.conv1.weight"],
      ["decoder.up_blocks.0.upsamplers.0.conv.weight", "decoder.up.1.upsample.conv.weight"],
      ["decoder.up_blocks.1.resnets.0.conv1.weight", "decoder.up.0.block.0.conv1.weight"],
      ["decoder.conv_norm_out.weight", "decoder.norm_out.weight"],
    ] as const
  ) assertEquals(ours.get(name)!.data, authors.get(theirs)!.data, name);

  const older = new Map(
    [...ours].map(([name, tensor]) =>
      [
        name.replace(".to_q.", ".query.").replace(".to_k.", ".key.").replace(".to_v.", ".value.").replace(
          ".to_out.0.",
          ".proj_attn.",
        ),
        tensor,
      ] as const
    ),
  );
  assert(older.has("encoder.mid_block.attentions.0.query.weight"));
  assertEquals(read(references.autoencoderKl, older).flat, flat);
  assertEquals(read(references.autoencoderKl, ours).flat, flat);
});

Deno.test("reference to ours to reference is the same bits, but for SiT's rounded reflection and dropped variance", async () => {
  await openEngine("wasm");
  for (
    const [reference, file] of [[references.tarflow, tarflowFile()], [references.autoencoderKl, authorsFile()]] as const
  ) {
    const { layout, flat } = read(reference, file);
    const back = new Map(toReference(layout, flat));
    file.delete("loss.logvar");
    assertEquals(back.size, file.size);
    for (const [name, tensor] of file) assertEquals(back.get(name), tensor, name);
  }
  for (const learnSigma of [false, true]) {
    const file = sitFile(learnSigma);
    const { layout, flat } = read(references.sit, file);
    const back = new Map(toReference(layout, flat));
    assertEquals(back.size, file.size);
    for (const [name, { shape, data }] of file) {
      assertEquals(back.get(name)!.shape, shape);
      if (name === "t_embedder.mlp.0.weight") assertLess(relativeError(back.get(name)!.data, data), 3e-7);
      else if (!learnSigma || !name.startsWith("final_layer.linear")) assertEquals(back.get(name)!.data, data, name);
    }
    assertEquals(read(references.sit, back).flat.length, flat.length);
    const pixel = 64;
    if (!learnSigma) continue;
    const kept = back.get("final_layer.linear.weight")!.data, given = file.get("final_layer.linear.weight")!.data;
    assertEquals(kept.subarray(0, pixel), given.subarray(0, pixel));
    assertEquals(kept.subarray(pixel, 2 * pixel), new Float32Array(pixel), "the variance comes back as zeros");
    assertEquals(kept.subarray(2 * pixel, 3 * pixel), given.subarray(2 * pixel, 3 * pixel));
  }
});

Deno.test("the Inception network of FID keeps its tensors and loses its counters", () => {
  const file: Tensors = new Map(
    inceptionTensors().map(({ name, shape }, i) => [name, { shape, data: new Float32Array(sizeOf(shape)).fill(i) }]),
  );
  const counted = new Map(file).set("Conv2d_1a_3x3.bn.num_batches_tracked", { shape: [], data: Float32Array.of(7) });
  const { layout, flat } = read(inceptionReference, counted);
  const back = new Map(toReference(layout, flat));
  assertEquals([...back.keys()], [...file.keys()]);
  for (const [name, { data }] of back) assert(data.every((value) => value === file.get(name)!.data[0]), name);
});

Deno.test("a file of another model gets one sentence: the tensor that is missing, extra, of another shape or value", async () => {
  await openEngine("wasm");
  const files: [Reference, () => Tensors, string][] = [
    [references.sit, () => sitFile(false), "blocks.1.mlp.fc1.bias"],
    [references.tarflow, tarflowFile, "blocks.1.attn_blocks.0.attention.qkv.weight"],
    [references.autoencoderKl, authorsFile, "decoder.up.1.block.1.conv2.weight"],
  ];
  const refused = (reference: Reference, file: Tensors, sentence: string) => {
    const problem = assertThrows(() => read(reference, file), Problem, sentence);
    assert(/^Cannot use w\.pt as weights of /.test(problem.message) && problem.message.length < 300, problem.message);
  };
  for (const [reference, make, name] of files) {
    const { shape, data } = make().get(name)!;
    const missing = make();
    missing.delete(name);
    refused(reference, missing, `its tensor "${name}" is missing`);
    refused(
      reference,
      make().set("blocks.extra", { shape, data }),
      `its tensor "blocks.extra" is extra`,
    );
    const wider = make().set(name, { shape: [...shape, 1], data });
    refused(reference, wider, `"${name}" has shape [${[...shape, 1]}] instead of [${shape}]`);
  }
  const { shape } = tarflowFile().get("var")!;
  const learned = tarflowFile().set("var", { shape, data: new Float32Array(sizeOf(shape)).fill(0.9) });
  refused(references.tarflow, learned, '"var" has other values than the fixed ones of this model');
});
