import { assert, assertEquals, assertGreaterOrEqual, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { hashFile } from "../../lib/core/hash.ts";
import { createRng } from "../../lib/core/rng.ts";
import { locate } from "../../lib/engine/locate.ts";
import { inceptionTensors } from "../../lib/metrics/inception_weights.ts";
import { autoencoderKl } from "../../lib/models/autoencoder_kl.ts";
import { initialize, sizeOf } from "../../lib/nn/parameters.ts";
import { writeSafetensors } from "../../lib/training/safetensors.ts";
import { namedTensors } from "../../lib/training/weights.ts";
import { classIds, drawImages, expect, layOut } from "../data/imagenet/small_imagenet.ts";
import { torchSave } from "../training/torch_save.ts";
import { openWorkspace, type Workspace } from "./workspace.ts";

/**
 * The paper's scale from real JPEG files to its table: ImageNet's layout, the
 * published formats of the frozen networks' weights with random values, the
 * models at the paper's width with few layers. Whatever the figures are, every
 * part of the path has run.
 */
const native = await locate() !== undefined;

async function paperWorkspace(): Promise<Workspace> {
  const workspace = await openWorkspace(["experiments", "deno.lock"]);
  await layOut.folder(join(workspace.cwd, "imagenet"), await drawImages());
  await Deno.writeFile(join(workspace.cwd, "inception.pth"), await torchSave(randomInception()));
  return workspace;
}

/** As pytorch-fid's file: torchvision's names, with positive variances, and the classifier that features leave out. */
function randomInception() {
  return new Map(
    inceptionTensors().map(({ name, shape }) => {
      const rng = createRng(0).fork(name),
        size = sizeOf(shape),
        spread = (shape.length === 4 ? 2 : 0.2) / sizeOf(shape.slice(1));
      const data = name.endsWith(".running_var") || name.endsWith("bn.weight")
        ? new Float32Array(size).fill(1)
        : Float32Array.from(rng.uniform(size), (u) => (2 * u - 1) * Math.sqrt(3 * spread));
      return [name, { shape, data }] as const;
    }),
  );
}

/** As diffusers' `diffusion_pytorch_model.safetensors` of sd-vae-ft-mse. */
async function writeAutoencoder(path: string): Promise<void> {
  const { specs } = autoencoderKl({}, [3, 64, 64]);
  await writeSafetensors(path, [...namedTensors(specs, initialize(specs, createRng(1)))], { format: "pt" });
}

async function run({ cwd, run }: Workspace, experiment: string, ...overrides: string[]): Promise<string> {
  const counts = `{train: ${expect.train}, test: ${expect.test}, classes: ${expect.classes}}`;
  const { code, err } = await run(
    ...["run", experiment, "--scale", "paper", "--out", "out", "--engine", "native"],
    ...["data.root=imagenet", `data.expect=${counts}`, "features.weights=inception.pth"],
    `+features.sha256="${await hashFile(join(cwd, "inception.pth"))}"`,
    ...overrides,
  );
  assertEquals(code, 0, err);
  return err;
}

async function figuresOf(cwd: string): Promise<Record<string, { value: number }>> {
  return JSON.parse(await Deno.readTextFile(join(cwd, "out", "figures.json"))).figures;
}

/** The paper's width; depth, tokens of the teacher and samples that a test can wait for. */
const short = [
  "student.model.depth=1",
  "teacher.model.blocks=[1, 1]",
  "evaluation.samplers=[{method: heun, nfe: 3, grid: t2}]",
  "evaluation.guidance=[unguided]",
  "+rows.NFM.coupling.sigmaSamples=16",
  ...["--teacher", "train", "--limit", "8"],
];

Deno.test({ name: "the paper's Table 4 runs from JPEG files to its table", ignore: !native }, async () => {
  const workspace = await paperWorkspace(), { cwd } = workspace;
  const said = await run(
    workspace,
    "table4",
    "~rows.FM",
    // A distance on 2048 features takes half a minute: two will do.
    "+rows.SD-FM.metrics=[loss]",
    "evaluation.metrics=[frechet, loss, likelihood, teacherFrechet]",
    "teacher.model.patch=8",
    ...short,
  );
  assertStringIncludes(said, "preparing ImageNet 64 train");
  const figures = await figuresOf(cwd);
  for (const source of ["NFM / 8 / heun 3", "NFM teacher"]) {
    assertGreaterOrEqual(figures[`${source} / unguided / frechet`]!.value, 0, source);
  }
  for (const row of ["SD-FM", "NFM"]) assert(Number.isFinite(figures[`${row} / 8 / loss`]!.value), row);
  for (const metric of ["nll", "nllTest", "bitsPerDim"]) {
    assert(Number.isFinite(figures[`NFM teacher / ${metric}`]!.value), metric);
  }
  assertEquals(figures["SD-FM / labelMismatch"]!.value, 0);
  const stages = await Array.fromAsync(Deno.readDir(join(cwd, ".nfm/stages/teacher")));
  assertEquals(stages.length, 1);
  await workspace.remove();
});

Deno.test(
  { name: "the paper's Table 6 runs from JPEG files through Stable Diffusion's autoencoder", ignore: !native },
  async () => {
    const workspace = await paperWorkspace(), { cwd } = workspace;
    await writeAutoencoder(join(cwd, "sd-vae/autoencoder.safetensors"));
    const said = await run(
      workspace,
      "table6",
      "data.size=64",
      "+data.images=40",
      "autoencoder.pretrained=sd-vae",
      "~rows.FM",
      "evaluation.metrics=[frechet, loss]",
      "teacher.model.patch=4",
      ...short,
    );
    assertStringIncludes(said, "latents of");
    const figures = await figuresOf(cwd);
    assertGreaterOrEqual(figures["NFM / 8 / heun 3 / unguided / frechet"]!.value, 0);
    // Both orientations of the training images, 4×8×8 latents of float32.
    const kept = await Array.fromAsync(Deno.readDir(join(cwd, ".nfm/latents")));
    const bytes = kept.map(({ name }) => Deno.statSync(join(cwd, ".nfm/latents", name)).size);
    assertEquals(kept.filter(({ name }) => name.includes("train")).length, 2);
    assert(bytes.every((size) => size % (4 * 4 * 8 * 8) === 0));
    assertEquals(classIds.length, expect.classes);
    await workspace.remove();
  },
);
