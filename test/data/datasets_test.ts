import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { findFile } from "../../lib/data/fashion_mnist.ts";
import type { DatasetKind } from "../../lib/data/kind.ts";
import { loadMnistFormat } from "../../lib/data/mnist_format.ts";
import * as datasets from "../../lib/data/mod.ts";

// Kept as published: the first labels, and the digests of what prepareImages makes of the published files.
const published = {
  mnist: {
    train: ["5041921314", "30516fba1afd"],
    test: ["7210414959", "a2712787d491"],
  },
  fashionMnist: {
    train: ["9003027255", "a4bf64015c5e"],
    test: ["9211614657", "d13ab932a165"],
  },
} as const;

const fashionIsHere = await findFile("train-images-idx3-ubyte", ["/usr/share/datasets/fashion-mnist"])
  .then(() => true, () => false);

for (const [kind, member] of Object.entries(datasets)) {
  if (!(kind in published)) continue; // ImageNet's images cannot be here: test/data/imagenet
  const { options, load } = member as DatasetKind<unknown>;

  Deno.test(`${kind} refuses unknown options and sizes, and has defaults`, () => {
    assertThrows(() => options.parse({ sise: 16 }), Error, "sise");
    assertThrows(() => options.parse({ size: 17 }), Error, "8|16|28|32");
    assertEquals(options.parse({}), { size: 16 });
  });

  const ignore = kind === "fashionMnist" && !fashionIsHere;
  Deno.test({ name: `${kind} has both splits as published, in [-1, 1]`, ignore }, async () => {
    for (const split of ["train", "test"] as const) {
      const dataset = await load(options.parse({}), split);
      const [labels, digest] = published[kind as keyof typeof published][split];
      assertEquals([dataset.size, dataset.shape, dataset.classes], [
        split === "train" ? 60000 : 10000,
        [1, 16, 16],
        10,
      ]);
      assertEquals([dataset.labels.subarray(0, 10).join(""), dataset.digest.slice(0, 12)], [labels, digest]);
      const rows = Int32Array.from({ length: 1000 }, (_, i) => i * (dataset.size / 1000));
      const batch = await dataset.gather(rows);
      assertEquals([batch.data.includes(-1), batch.data.every((x) => Math.abs(x) <= 1)], [true, true]);
      assertEquals(batch.labels, rows.map((row) => dataset.labels[row]!));
    }
  });

  Deno.test({ name: `${kind} at 28x28 halves to itself at 16x16 and 8x8`, ignore }, async () => {
    const first = async (size: number) => {
      const dataset = await load(options.parse({ size }), "test");
      assertEquals(dataset.shape, [1, size, size]);
      return (await dataset.gather(Int32Array.of(0))).data.map((x) => (x + 1) * 127.5);
    };
    const [full, half, quarter] = [await first(28), await first(16), await first(8)];
    // Row 8, column 8 of the halved image is the box at (14, 14) of the published one, framed by 2.
    const box = [14 * 28 + 14, 14 * 28 + 15, 15 * 28 + 14, 15 * 28 + 15].map((p) => full[p]!);
    assert(Math.abs(half[8 * 16 + 8]! - sum(box) / 4) <= 0.51);
    for (const [small, area] of [[half, 4], [quarter, 16]] as const) {
      assert(Math.abs(sum(small) * area - sum(full)) <= small.length * area / 2);
    }
    assertNotEquals(sum(half), 0);
  });
}

Deno.test("fashionMnist says where it looked and how to get the files", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const load = () => datasets.fashionMnist.load({ size: 16, root: folder }, "train");
    assertEquals(
      (await assertRejects(load, Problem)).message,
      `Cannot find train-images-idx3-ubyte.gz of Fashion-MNIST in ${folder}: install Debian's package with ` +
        "`apt-get install dataset-fashion-mnist`, or download train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, " +
        "t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz from https://github.com/zalandoresearch/fashion-mnist " +
        "and give their folder as `data.root=FOLDER`",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("loadMnistFormat names the file that is not the published one", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/t10k-images-idx3-ubyte`, idx([1, 28, 28], 784));
    await Deno.writeFile(`${folder}/t10k-labels-idx1-ubyte`, idx([1], 1));
    const load = () => datasets.fashionMnist.load({ size: 16, root: folder }, "test");
    const { message } = await assertRejects(load, Problem);
    assert(
      /^Cannot use .*\/t10k-(images|labels)-idx\d-ubyte: its contents have SHA-256 \w{12}…/.test(message),
      message,
    );
    assert(message.endsWith("…; replace the file"), message);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("loadMnistFormat reads a folder of plain files", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const files = { "t10k-images-idx3-ubyte": idx([2, 28, 28], 1568), "t10k-labels-idx1-ubyte": idx([2], 2) };
    const digests: Record<string, string> = {};
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(`${folder}/${name}`, bytes);
      digests[name] = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    }
    const locate = (file: string) => findFile(file, [`${folder}/none`, folder]);
    const dataset = await loadMnistFormat({ name: "mine", locate, digests, split: "test", size: 28 });
    assertEquals([dataset.name, dataset.size, [...dataset.labels]], ["mine 28x28", 2, [0, 1]]);
    const { data } = await dataset.gather(Int32Array.of(1));
    assertEquals(data[0], Math.fround((784 % 256) / 127.5 - 1));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** An IDX file of that shape whose bytes count 0, 1, 2, … modulo 256. */
function idx(shape: number[], length: number): Uint8Array<ArrayBuffer> {
  const header = [0, 0, 8, shape.length, ...shape.flatMap((n) => [n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255])];
  return Uint8Array.from([...header, ...Array.from({ length }, (_, i) => i % 256)]);
}

function sum(values: ArrayLike<number>): number {
  return Array.from(values).reduce((total, value) => total + value, 0);
}
