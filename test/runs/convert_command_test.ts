import { assertEquals, assertNotEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { convertCommand } from "../../lib/runs/convert_command.ts";
import { readPyTorchFile } from "../../lib/training/pytorch_file.ts";
import { readSafetensors, writeSafetensors } from "../../lib/training/safetensors.ts";

const checkpoint = new URL("../fixtures/pytorch/tarflow.pt", import.meta.url).pathname;

/** What the command prints. */
async function convert(...args: string[]): Promise<string> {
  const { log } = console, lines: string[] = [];
  console.log = (line: string) => lines.push(line);
  try {
    await convertCommand(args);
  } finally {
    console.log = log;
  }
  return lines.join("\n");
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  await body(folder).finally(() => Deno.remove(folder, { recursive: true }));
}

Deno.test("convert takes the averaged weights of a PyTorch checkpoint, or those named, and gives them back unchanged", () =>
  inFolder(async (folder) => {
    const [ours, theirs] = [`${folder}/ours.safetensors`, `${folder}/theirs.safetensors`];
    const stored = await readPyTorchFile(checkpoint);
    for (const [options, prefix] of [[[], "ema."], [["--weights", "model.module"], "model.module."]] as const) {
      const printed = await convert(checkpoint, ours, "--model", "tarflow", ...options);
      assertStringIncludes(printed, "TarFlow of 2 tokens of 1, width 2, layers [1] and 0 classes: 88 parameters");
      assertEquals((await readSafetensors(ours)).tensors.size, 17);
      assertStringIncludes(await convert(ours, theirs, "--model", "tarflow"), "the reference's layout");
      const { tensors } = await readSafetensors(theirs);
      assertEquals(tensors.size, 19);
      for (const [name, { shape, data }] of tensors) {
        const { shape: expected, data: values } = stored.get(prefix + name)!;
        assertEquals({ shape, data: [...data] }, { shape: expected, data: [...values] }, name);
      }
      const again = `${folder}/again.safetensors`;
      await convert(theirs, again, "--model", "tarflow");
      assertEquals((await readSafetensors(again)).tensors, (await readSafetensors(ours)).tensors);
    }
  }));

Deno.test("convert refuses in one sentence", async (t) => {
  await inFolder(async (folder) => {
    const to = `${folder}/to.safetensors`, cut = `${folder}/cut.pt`, short = `${folder}/short.safetensors`;
    await Deno.writeFile(cut, (await Deno.readFile(checkpoint)).subarray(0, 5000));
    const { data } = (await readPyTorchFile(checkpoint)).get("ema.blocks.0.proj_in.weight")!;
    await writeSafetensors(short, [["blocks.0.proj_in.weight", { shape: [2, 1], data }]]);
    const refused: [string[], string][] = [
      [[checkpoint], "expects two files"],
      [[checkpoint, to], "--model : expected one of autoencoderKl, sit, tarflow, inception"],
      [[checkpoint, to, "--model", "tarflw"], "did you mean tarflow?"],
      [[checkpoint, to, "--model", "tarflow", "--depth", "3"], "no option --depth"],
      [[checkpoint, `${folder}/to.pt`, "--model", "tarflow"], "writes safetensors files"],
      [[to, to, "--model", "tarflow"], "would overwrite"],
      [
        [checkpoint, to, "--model", "sit"],
        'its tensor "x_embedder.proj.weight" is missing, so it holds another model; SiT\'s are published',
      ],
      [[checkpoint, to, "--model", "tarflow", "--weights", "opt"], `it has model.module, ema`],
      [[cut, to, "--model", "tarflow"], "it is cut short"],
      [[short, to, "--model", "tarflow"], 'its tensor "blocks.0.pos_embed" is missing (and 15 more)'],
      [[`${folder}/none.pt`, to, "--model", "tarflow"], "does not exist"],
    ];
    for (const [args, sentence] of refused) {
      await t.step(sentence, async () => {
        await assertRejects(() => convert(...args), Problem, sentence);
        await assertRejects(() => Deno.stat(to), Deno.errors.NotFound);
      });
    }
  });
});

Deno.test("the fixture's averaged weights are others than the last ones", async () => {
  const stored = await readPyTorchFile(checkpoint);
  const name = "blocks.0.proj_out.weight";
  assertNotEquals([...stored.get(`ema.${name}`)!.data], [...stored.get(`model.module.${name}`)!.data]);
});
