import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { drawImages, few, layOut, text, withFolder } from "../data/imagenet/small_imagenet.ts";

const project = fileURLToPath(new URL("../../", import.meta.url));
const images = few(await drawImages(), 3);

/** `deno task data table4 --scale paper` on the images in `folder`, with the task's own permissions. */
async function data(folder: string, ...args: string[]) {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(project, "deno.json")));
  const permissions = tasks.data.command.split(" ").filter((word: string) => word.startsWith("--allow-"));
  const expect = "data.expect={train: 15, test: 15, classes: 5}";
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", ...permissions, join(project, "lib/cli.ts"), "data", "table4"],
      ...["--scale", "paper", `data.root=${folder}/data`, `data.cache=${folder}/cache`, expect, ...args],
    ],
    cwd: project,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

Deno.test("data says what is missing, prepares what is there, and finds it ready the next time", async () => {
  await withFolder(async (folder) => {
    const missing = await data(folder);
    assertEquals(missing.code, 2);
    for (const split of ["train", "test"]) {
      assertStringIncludes(missing.err, `Cannot find ImageNet's ${split} split in ${folder}/data`);
    }
    await layOut.folder(join(folder, "data"), images);
    const look = await data(folder, "--dry-run");
    assertEquals(look.code, 0, look.err);
    assertStringIncludes(look.out, `imageNet 64x64 train: source: ${folder}/data/train (folder)`);
    assertStringIncludes(look.out, "imageNet 64x64 test: to prepare: 15 images, 0 of 1 pieces done");
    const first = await data(folder), second = await data(folder, "--quiet");
    assertEquals([first.code, second.code], [0, 0], first.err + second.err);
    assertEquals(first.out.match(/: 15 images in 5 classes, digest [0-9a-f]{12}$/gm)?.length, 2);
    assertEquals(second, { code: 0, out: first.out, err: "" });
  });
});

Deno.test("data names the images that are at fault in both splits, and exits with 2", async () => {
  await withFolder(async (folder) => {
    const broken = (list: typeof images.train) => list.with(7, { ...list[7]!, bytes: text("no picture") });
    await layOut.folder(join(folder, "data"), { train: broken(images.train), test: broken(images.test) });
    const { code, err } = await data(folder);
    assertEquals(code, 2);
    for (const [split, list] of [["train", images.train], ["val", images.test]] as const) {
      assert(err.includes(`${folder}/data/${split}/${list[7]!.file} is no image, expected JPEG or PNG`), err);
    }
  });
});
