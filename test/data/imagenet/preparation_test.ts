import { assert, assertEquals, assertNotEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createRng } from "../../../lib/core/rng.ts";
import { Problem } from "../../../lib/core/problem.ts";
import { closeSharedPool } from "../../../lib/data/imagenet/pool.ts";
import { setFolder } from "../../../lib/data/imagenet/set.ts";
import * as datasets from "../../../lib/data/mod.ts";
import golden from "../../golden/images.json" with { type: "json" };
import { prepareInPieces } from "./prepared_run.ts";
import { drawImages, few, layOut, recipe, type SmallImageNet, text, withFolder } from "./small_imagenet.ts";

const images = await drawImages();
const expect = { train: 30, test: 15, classes: 5 };
const small: SmallImageNet = { train: few(images, 6).train, test: few(images, 3).test };
const load = (folder: string, options: Record<string, unknown> = {}) =>
  datasets.imageNet.load(recipe(folder, { expect, ...options }), "train");
const rows = Int32Array.from({ length: 30 }, (_, i) => (7 * i) % 30);

/** The set with other bytes in some of its training images. */
function spoiled(bytes: Readonly<Record<number, Uint8Array<ArrayBuffer>>>): SmallImageNet {
  return { ...small, train: small.train.map((image, i) => ({ ...image, bytes: bytes[i] ?? image.bytes })) };
}
const file = (name: string) => Uint8Array.fromBase64(golden.find((one) => one.name === name)!.file);

/** Every file below a folder but the stamps of verification, by name. */
async function contents(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const { name } of Deno.readDir(folder)) {
    if (name !== "verified.json") files[name] = (await Deno.readFile(join(folder, name))).toHex();
  }
  return files;
}

for (const layout of ["folder", "webdataset", "parquet"] as const) {
  Deno.test(`${layout}: images that cannot be used are all named`, async () => {
    await withFolder(async (folder) => {
      const whole = small.train[9]!;
      const broken = spoiled({ 3: text("no picture"), 9: whole.bytes.slice(0, 300), 20: new Uint8Array() });
      await layOut[layout](join(folder, "data"), broken);
      const { message } = await assertRejects(() => load(folder), Problem);
      assertStringIncludes(message, "Cannot use 3 of the train images in");
      for (const [i, what] of [[3, "is no image"], [9, "is cut short: the JPEG"], [20, "is empty"]] as const) {
        const name = small.train[i]!.file.split("/")[1]!.replace(".JPEG", "");
        const line = message.split("\n").find((line) => line.includes(`${name}.`));
        assertStringIncludes(line ?? `${name} is not in ${message}`, what);
      }
      assertStringIncludes(message, "data.expect.train=N");
    });
  });
}

Deno.test("of a set with a fault, the sound pieces are kept and the others made when it is mended", async () => {
  await withFolder(async (folder) => {
    await layOut.folder(join(folder, "data"), small);
    const path = join(folder, "data/train", small.train[13]!.file), sound = await Deno.readFile(path);
    await Deno.writeFile(path, sound.subarray(0, 200));
    await assertRejects(() => prepareInPieces(folder, 5), Problem, `Cannot use 1 of the train images in`);
    const into = setFolder(recipe(folder), "train"), before = await contents(into);
    const records = (files: Record<string, string>) => Object.keys(files).filter((name) => name.startsWith("chunk-"));
    assertEquals(records(before).length, 5);
    await Deno.writeFile(path, sound);
    const digest = await prepareInPieces(folder, 5), after = await contents(into);
    assertEquals(records(after).length, 6);
    for (const [name, bytes] of Object.entries(before)) assertEquals(after[name], bytes, name);
    await Deno.remove(into, { recursive: true });
    assertEquals(await prepareInPieces(folder, 5), digest);
  });
});

Deno.test("more than ten faults are counted, not listed", async () => {
  await withFolder(async (folder) => {
    const broken = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [i, text("x")]));
    await layOut.folder(join(folder, "data"), spoiled(broken));
    const { message } = await assertRejects(() => load(folder), Problem, "Cannot use 14 of the train images");
    assertEquals(message.split("\n").filter((line) => line.endsWith("is no image, expected JPEG or PNG")).length, 10);
    assertStringIncludes(message, "  and 4 more\n");
  });
});

Deno.test("a file that is there when the images are listed and gone when they are read is named", async () => {
  await withFolder(async (folder) => {
    await layOut.folder(join(folder, "data"), small);
    const path = join(folder, "data/train", small.train[5]!.file);
    await Deno.remove(path);
    await Deno.symlink(join(folder, "nowhere"), path);
    await assertRejects(() => load(folder), Problem, `${path} does not exist`);
  });
});

Deno.test("unusual images are refused by name, and converted as Pillow does where the recipe says so", async () => {
  await withFolder(async (folder) => {
    const odd = { 2: file("grey"), 11: file("CMYK"), 17: file("PNG") };
    await layOut.folder(join(folder, "data"), spoiled(odd));
    const { message } = await assertRejects(() => load(folder), Problem, "3 of the train images in");
    assertStringIncludes(message, "are not upright RGB files (1 CMYK, 1 grey, 1 named as another format):");
    for (const i of Object.keys(odd)) assertStringIncludes(message, small.train[Number(i)]!.file);
    assertStringIncludes(message, "data.unusual=convert");
    const before = await contents(setFolder(recipe(folder, { expect }), "train"));
    const set = await load(folder, { unusual: "convert" });
    assertEquals(await contents(setFolder(recipe(folder, { expect }), "train")), before, "nothing was prepared again");
    const { data } = await set.gather(rows);
    // Grey stays grey: of the image that was, all three planes are equal.
    const size = 64 * 64;
    const greys = rows.filter((_, i) => {
      const at = i * 3 * size;
      return [...data.subarray(at, at + size)].every((x, k) =>
        x === data[at + size + k] && x === data[at + 2 * size + k]
      );
    });
    assertEquals(greys.length, 1);
  });
});

Deno.test("a preparation killed at any moment and started again ends with the same bytes", async () => {
  await withFolder(async (whole) => {
    await layOut.folder(join(whole, "data"), images);
    const digest = await prepareInPieces(whole, 8);
    const kept = (folder: string) => contents(setFolder(recipe(folder), "train"));
    // The plan names the root, which is another folder for the other preparation.
    const withoutPlan = async (folder: string) => ({ ...await kept(folder), "plan.json": "" });
    const expected = await withoutPlan(whole);
    assertEquals(Object.keys(expected).filter((name) => name.startsWith("pixels-")).length, 25);
    await withFolder(async (folder) => {
      await Deno.mkdir(join(folder, "data"));
      await Deno.rename(join(whole, "data"), join(folder, "data"));
      const program = fileURLToPath(new URL("./prepared_run.ts", import.meta.url));
      const delays = createRng(4).fork("kill").uniform(100);
      let kills = 0;
      for (const delay of delays) {
        const child = new Deno.Command(Deno.execPath(), {
          args: ["run", "--quiet", "-A", program, folder, "8"],
          stdout: "piped",
          stderr: "null",
        }).spawn();
        // Killed when it has written some more files: a moment that no clock decides.
        const wanted = await count(folder) + 1 + Math.floor(20 * delay);
        const watch = killWhen(child, async () => kills < 4 && await count(folder) >= wanted);
        const { stdout, success } = await child.output();
        await watch;
        if (success) {
          assertEquals(new TextDecoder().decode(stdout).trim(), digest);
          break;
        }
        kills++;
      }
      assert(kills > 0, "it was never killed");
      const files = await withoutPlan(folder);
      // A kill between writing and renaming leaves the temporary file: a name that nothing reads.
      for (const name of Object.keys(files)) if (name.endsWith(".tmp")) delete (files as Record<string, string>)[name];
      assertEquals(Object.keys(files).sort(), Object.keys(expected).sort());
      for (const [name, bytes] of Object.entries(expected)) {
        assertEquals(files[name as keyof typeof files], bytes, name);
      }
    });
  });
});

async function count(folder: string): Promise<number> {
  const into = setFolder(recipe(folder), "train");
  return (await Array.fromAsync(Deno.readDir(into)).catch(() => [])).length;
}

async function killWhen(child: Deno.ChildProcess, due: () => Promise<boolean>): Promise<void> {
  let ended = false;
  const end = child.status.then(() => ended = true);
  while (!ended) {
    if (await due()) {
      child.kill("SIGKILL");
      break;
    }
    await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 5))]);
  }
}

Deno.test("the set does not depend on the size of the pieces it was prepared in", async () => {
  await withFolder(async (folder) => {
    await layOut.folder(join(folder, "data"), small);
    const inPieces = await prepareInPieces(folder, 7);
    const set = await load(folder);
    assertEquals(set.digest, inPieces);
    const { data } = await set.gather(rows);
    await closeSharedPool(); // its threads have files open
    await Deno.remove(join(folder, "cache"), { recursive: true });
    const again = await load(folder);
    assertEquals([again.digest, (await again.gather(rows)).data], [inPieces, data]);
  });
});

Deno.test("prepared pixels that changed or went are named before training starts", async () => {
  await withFolder(async (folder) => {
    await layOut.folder(join(folder, "data"), small);
    const { digest } = await load(folder);
    const into = setFolder(recipe(folder, { expect }), "train"), pixels = join(into, "pixels-00000.bin");
    const bytes = await Deno.readFile(pixels);
    await Deno.writeFile(pixels, bytes.with(1234, bytes[1234]! ^ 1));
    await assertRejects(() => load(folder), Problem, `${pixels} is damaged: remove ${join(into, "chunk-00000.json")}`);
    for (const name of ["chunk-00000.json", "manifest.json"]) await Deno.remove(join(into, name));
    assertEquals((await load(folder)).digest, digest, "what the message says to do helps");
    await Deno.remove(pixels);
    await assertRejects(() => load(folder), Problem, `Cannot find ${pixels}`);
    const order = join(into, "order.bin");
    await Deno.writeFile(order, (await Deno.readFile(order)).with(0, 255));
    await assertRejects(() => load(folder), Problem, `${order} is damaged`);
  });
});

Deno.test("stamps of verification that are damaged are as none: the pixels are verified again", async () => {
  await withFolder(async (folder) => {
    await layOut.folder(join(folder, "data"), small);
    const { digest } = await load(folder);
    const stamps = join(setFolder(recipe(folder, { expect }), "train"), "verified.json");
    await load(folder);
    const sound = await Deno.readTextFile(stamps);
    for (const damage of [sound.slice(0, -4), "", "null", '{"0": 1}']) {
      await Deno.writeTextFile(stamps, damage);
      assertEquals((await load(folder)).digest, digest);
      assertEquals(await Deno.readTextFile(stamps), sound);
    }
  });
});

Deno.test("a source that changed since the preparation is told, and one that is gone is not needed", async () => {
  await withFolder(async (folder) => {
    const root = join(folder, "data");
    await layOut.folder(root, small);
    const set = await load(folder);
    await Deno.rename(root, `${root}-away`);
    assertEquals((await load(folder)).digest, set.digest);
    await layOut.folder(root, few(images, 5));
    await assertRejects(() => load(folder), Problem, "was prepared from other files than are in");
  });
});

for (const layout of ["folder", "webdataset"] as const) {
  Deno.test(`${layout}: cache: false decodes the same rows from the source, and notices a changed image`, async () => {
    await withFolder(async (folder) => {
      await layOut[layout](join(folder, "data"), small);
      const cached = await load(folder), expected = await cached.gather(rows, rows.map((row) => row % 2) as never);
      Deno.chdir(folder);
      try {
        const direct = await load(folder, { cache: false });
        assertEquals(direct.digest, cached.digest);
        assertEquals(await direct.gather(rows, rows.map((row) => row % 2) as never), expected);
        const again = await load(folder, { cache: false });
        assertEquals(again.labels, cached.labels);
        if (layout === "webdataset") return;
        const path = join(folder, "data/train", small.train[4]!.file);
        await Deno.writeFile(path, images.train[50]!.bytes);
        await assertRejects(() => again.gather(rows), Problem, `${path} holds another picture; restore the file`);
      } finally {
        Deno.chdir(fileURLToPath(new URL("../../../", import.meta.url)));
      }
    });
  });
}

Deno.test("cache: false is refused where single images cannot be reached", async () => {
  await withFolder(async (folder) => {
    await layOut.parquet(join(folder, "data"), small);
    await assertRejects(() => load(folder, { cache: false }), Problem, "parquet cannot be read so");
  });
});

Deno.test("batches asked for ahead, all at once, are those that are asked for one by one", async () => {
  await withFolder(async (folder) => {
    await layOut.folder(join(folder, "data"), images);
    const set = await datasets.imageNet.load(recipe(folder, { threads: 3 }), "train");
    const batches = Array.from({ length: 12 }, (_, step) => createRng(3).at(step).integers(150, 200));
    const flips = batches.map((_, step) => Uint8Array.from(createRng(5).at(step).integers(150, 2)));
    const ahead = await Promise.all(batches.map((batch, i) => set.gather(batch, flips[i])));
    for (const [i, batch] of batches.entries()) assertEquals(await set.gather(batch, flips[i]), ahead[i]);
    assertNotEquals(ahead[0]!.data, ahead[1]!.data);
  });
});

Deno.test("at 256 pixels the same images are another set", async () => {
  await withFolder(async (folder) => {
    await layOut.folder(join(folder, "data"), few(images, 1));
    const at = (size: number) => load(folder, { size, expect: { train: 5, test: 5, classes: 5 } });
    const [low, high] = [await at(64), await at(256)];
    assertEquals([high.shape, high.name], [[3, 256, 256], "imageNet 256x256"]);
    assertNotEquals(low.digest, high.digest);
    assertEquals((await high.gather(Int32Array.of(4))).data.length, 3 * 256 * 256);
  });
});

Deno.test("inspect says what is there and what is to do, and makes nothing", async () => {
  await withFolder(async (folder) => {
    const inspect = (split: "train" | "test") => datasets.imageNet.inspect(recipe(folder, { expect }), split);
    const nothing = await inspect("train");
    assertEquals([nothing.ready, nothing.outline.size, nothing.outline.classes], [false, 30, 5]);
    assertStringIncludes(nothing.remarks.join("\n"), "Cannot find ImageNet's train split");
    assertStringIncludes(nothing.remarks.join("\n"), "to prepare: 30 images, 0 of 1 pieces done");
    await assertRejects(() => nothing.outline.gather(Int32Array.of(0)), RangeError, "not loaded");
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    await layOut.folder(join(folder, "data"), small);
    const { digest } = await load(folder);
    const ready = await inspect("train");
    assertEquals([ready.ready, ready.outline.digest], [true, digest]);
    assertStringIncludes(ready.remarks.join("\n"), `prepared: 30 images, digest ${digest.slice(0, 12)}`);
    assertEquals((await inspect("test")).ready, false);
  });
});
