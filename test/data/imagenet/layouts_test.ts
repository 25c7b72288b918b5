import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { Problem } from "../../../lib/core/problem.ts";
import * as datasets from "../../../lib/data/mod.ts";
import type { Dataset } from "../../../lib/data/types.ts";
import {
  classIds,
  drawImages,
  few,
  layOut,
  npy,
  npz,
  parquet,
  recipe,
  tar,
  text,
  withFolder,
  write,
} from "./small_imagenet.ts";

const images = await drawImages();
const load = (folder: string, split: "train" | "test", options: Record<string, unknown> = {}) =>
  datasets.imageNet.load(recipe(folder, options), split);

Deno.test("the four layouts of the same images are the same set, row by row", async () => {
  const seen: unknown[] = [];
  for (const [layout, lay] of Object.entries(layOut)) {
    await withFolder(async (folder) => {
      await lay(join(folder, "data"), images);
      const train = await load(folder, "train"), test = await load(folder, "test");
      assertEquals([train.size, test.size, train.classes, train.shape], [200, 60, 5, [3, 64, 64]], layout);
      const { data, labels } = await train.gather(Int32Array.of(0, 99, 199));
      assertEquals([...labels], [0, 2, 4]);
      seen.push([train.digest, test.digest, [...train.labels], data.join()]);
    });
  }
  for (const one of seen) assertEquals(one, seen[0]);
});

Deno.test("a set of other pixels, or of other labels, has another digest", async () => {
  const digests = new Set<string>();
  const { train, test } = few(images, 3);
  const [first, second] = train as [typeof train[0], typeof train[0]];
  const variants = [
    train,
    train.with(0, { ...first, bytes: images.train[20]!.bytes }),
    train.with(0, { ...first, label: 1 }).with(3, { ...train[3]!, label: 0 }),
    train.with(0, second!).with(1, first!),
  ];
  for (const variant of variants) {
    await withFolder(async (folder) => {
      // Without ids in the names: a label that contradicts one is refused.
      const named = variant.map((image, i) => ({ ...image, file: `x/${i}.JPEG` }));
      await layOut.webdataset(join(folder, "data"), { train: named, test });
      digests.add((await load(folder, "train", { expect: { train: 15, classes: 5 } })).digest);
    });
  }
  assertEquals(digests.size, 3, "the order of the files alone makes no difference");
});

async function refused(
  words: string | readonly string[],
  lay: (root: string) => Promise<void>,
  options: Record<string, unknown> = {},
): Promise<Problem> {
  let problem: Problem | undefined;
  await withFolder(async (folder) => {
    await lay(join(folder, "data"));
    problem = await assertRejects(() => load(folder, "train", options), Problem);
    for (const part of [words].flat()) {
      if (!problem.message.includes(part)) throw new Error(`${JSON.stringify(part)} is not in: ${problem.message}`);
    }
  });
  return problem!;
}

Deno.test("a missing root, or one without ImageNet in it, is explained", async () => {
  const words = ["Cannot find ImageNet's train split in", "train/n01440764/*.JPEG", "data.root=FOLDER"];
  await refused(words, () => Promise.resolve());
  await refused(words, (root) => write(join(root, "train", "loose.JPEG"), images.train[0]!.bytes));
  await refused("expected train*-00000-of-*.parquet. Put it there", (root) => layOut.folder(root, images), {
    format: "parquet",
  });
});

Deno.test("several layouts in one root have to be chosen from", async () => {
  const both = async (root: string) => {
    await layOut.folder(root, images);
    await layOut.parquet(root, images);
  };
  await refused("(folder, parquet): choose one with data.format", both);
  await withFolder(async (folder) => {
    await both(join(folder, "data"));
    assertEquals((await load(folder, "test", { format: "parquet" })).size, 60);
  });
});

Deno.test("counts are checked before anything is decoded", async () => {
  const { train, test } = few(images, 4);
  const lay = (root: string) => layOut.folder(root, { train: train.slice(1), test });
  await refused("there are 19, expected 20", lay, { expect: { train: 20, classes: 5 } });
  await refused("class 4 has 0 (expected some)", (root) => layOut.folder(root, { train: train.slice(0, 16), test }), {
    expect: { train: 16, classes: 5 },
  });
  await refused("there are 200, expected 1281167", (root) => layOut.folder(root, images), { expect: {} });
});

Deno.test("labels that contradict the WordNet ids in the names are refused", async () => {
  const { train, test } = few(images, 2);
  const swapped = train.map((image) => ({ ...image, label: [0, 2, 1, 3, 4][image.label]! }));
  for (const layout of ["webdataset", "parquet"] as const) {
    await refused("labels must follow the sorted ids", (root) => layOut[layout](root, { train: swapped, test }), {
      expect: { train: 10, classes: 5 },
    });
  }
});

Deno.test("tar shards without .cls take their labels from the names, and without both are refused", async () => {
  const members = images.train.map(({ file, bytes }) => [file.replace(".JPEG", ".jpg"), bytes] as const);
  await withFolder(async (folder) => {
    await layOut.folder(join(folder, "data"), images);
    const { digest } = await load(folder, "train");
    await write(join(folder, "tars", "train.tar"), tar(members));
    assertEquals((await load(folder, "train", { root: join(folder, "tars") })).digest, digest);
  });
  const one = images.train[0]!.bytes;
  const shards: readonly (readonly [string, Uint8Array])[] = [
    ["1.jpg has no label; expected a member of its name ending in .cls", tar([["1.jpg", one]])],
    ["a has a label and no image", tar([["a.cls", text("3")]])],
    ["a has two images", tar([["a.jpg", one], ["a.png", one]])],
    ['a.cls holds "cat", expected the class as a number', tar([["a.jpg", one], ["a.cls", text("cat")]])],
    ["unpack each into a folder of its name", tar([["n01440764.tar", text("x")]])],
    ["it is cut short", tar([["a.jpg", one]]).subarray(0, 700)],
  ];
  for (const [words, shard] of shards) await refused(words, (root) => write(join(root, "x_train.tar"), shard));
});

Deno.test("Parquet shards that are damaged, or of other columns, are named", async () => {
  const shard = parquet(images.train.slice(0, 20));
  const name = "train-00000-of-00001.parquet";
  await refused([name, "as Parquet"], (root) => write(join(root, name), shard.subarray(0, shard.length - 300)));
  await refused([name, "as Parquet"], (root) => write(join(root, name), text("not Parquet at all")));
  const unlabelled = images.train.slice(0, 5).map((image) => ({ ...image, label: -1 }));
  await refused([name, "row 0 has the label -1"], (root) => write(join(root, name), parquet(unlabelled)));
});

Deno.test("Chrabaszcz's arrays that are damaged, of another size, or without a map are named", async () => {
  const labels = npy("<i8", [2], new Uint8Array(new BigInt64Array([1n, 2n]).buffer));
  const data = npy("|u1", [2, 12288], new Uint8Array(2 * 12288).fill(9));
  const map = (root: string) => write(join(root, "map_clsloc.txt"), text(`${classIds[0]} 1 a\n${classIds[1]} 2 b\n`));
  const lay = (bytes: Uint8Array) => async (root: string) => {
    await map(root);
    await write(join(root, "train_data_batch_1.npz"), bytes);
  };
  const stored = await npz({ data, labels }, 0);
  const options = { expect: { train: 2, classes: 2 } };
  await refused("map_clsloc.txt: Chrabaszcz's labels have an order of their own", async (root) => {
    await write(join(root, "train_data_batch_1.npz"), stored);
  });
  await refused(["train_data_batch_1.npz", "cut short or no npz file"], lay(stored.subarray(0, 9000)), options);
  await refused(["train_data_batch_1.npz: data", "fetch the file again"], lay(stored.with(9000, 8)), options);
  await refused("its data is |u1 [2, 12288], expected |u1 [2, 196608], images of 256x256", lay(stored), {
    ...options,
    size: 256,
  });
  await refused("it has no array labels; it has data", lay(await npz({ data }, 6)), options);
  const three = npy("<i8", [2], new Uint8Array(new BigInt64Array([1n, 3n]).buffer));
  await refused(
    "it has the label 3, and the class map has 1 to 2",
    lay(await npz({ data, labels: three }, 6)),
    options,
  );
});

Deno.test("flipped rows are mirrored, and rows may come twice and in any order", async () => {
  await withFolder(async (folder) => {
    await layOut.folder(join(folder, "data"), few(images, 3));
    const set: Dataset = await load(folder, "train", { expect: { train: 15, classes: 5 } });
    const plain = await set.gather(Int32Array.of(7, 2, 7)),
      mixed = await set.gather(Int32Array.of(7, 2), Uint8Array.of(1, 0));
    const size = 3 * 64 * 64, image = (data: Float32Array, i: number) => data.subarray(i * size, (i + 1) * size);
    assertEquals(image(plain.data, 2), image(plain.data, 0));
    assertEquals(image(mixed.data, 1), image(plain.data, 1));
    assertEquals(
      [...image(mixed.data, 0)],
      [...image(plain.data, 0)].map((_, i, all) => all[i - i % 64 + 63 - i % 64]!),
    );
    assertNotEquals(image(mixed.data, 0), image(plain.data, 0));
    assertEquals([...mixed.labels], [set.labels[7], set.labels[2]]);
    await assertRejects(() => set.gather(Int32Array.of(15)), RangeError, "the set has images 0 to 14");
  });
});
