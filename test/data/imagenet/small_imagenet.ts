import { ZipWriter } from "@zip.js/zip.js";
import { parquetWriteBuffer } from "hyparquet-writer";
import { dirname, join } from "node:path";
import sharp, { type JpegOptions } from "sharp";
import { createRng } from "../../../lib/core/rng.ts";
import { closeSharedPool } from "../../../lib/data/imagenet/pool.ts";
import { prepareImage } from "../../../lib/data/imagenet/prepare_image.ts";
import { imageNet } from "../../../lib/data/imagenet.ts";
import { concat } from "../../concat.ts";

/** An image of a small ImageNet: real bytes as a file holds them. */
export interface TestImage {
  /** `n01440764/n01440764_7.JPEG` */
  readonly file: string;
  readonly label: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface SmallImageNet {
  readonly train: readonly TestImage[];
  readonly test: readonly TestImage[];
}

/** Five of ILSVRC's classes, in the standard order. */
export const classIds = ["n01440764", "n01443537", "n01484850", "n13133613", "n15075141"] as const;
/** As a recipe tells the loader of them. */
export const expect = { train: 200, test: 60, classes: classIds.length };

/** A smooth picture with an edge and some grain, `[height, width, channels]`, drawn by formula. */
export function picture(width: number, height: number, channels: number, seed: number): Uint8Array {
  const grain = createRng(seed).normal(width * height * channels);
  return Uint8Array.from(grain, (noise, i) => {
    const k = i % channels, x = Math.floor(i / channels) % width, y = Math.floor(i / channels / width);
    const wave = 60 * Math.sin((seed % 7 + 1) * x / width + k) + 40 * Math.cos((seed % 5 + 2) * y / height - k);
    return Math.min(255, Math.max(0, Math.round(128 + wave + (x > width / 2 ? 30 : 0) + 6 * noise)));
  });
}

/** A picture as a JPEG file. */
export async function jpeg(width: number, height: number, seed: number, options: JpegOptions = {}) {
  const raw = { width, height, channels: 3 } as const;
  return own(await sharp(picture(width, height, 3, seed), { raw }).jpeg({ quality: 88, ...options }).toBuffer());
}

/** 200 + 60 JPEG files of many sizes: tall, wide, below and above 64 pixels, progressive and not. */
export async function drawImages(): Promise<SmallImageNet> {
  const draw = async (split: "train" | "test", perClass: number) => {
    const images: TestImage[] = [];
    for (const [label, id] of classIds.entries()) {
      for (let i = 0; i < perClass; i++) {
        const seed = (split === "train" ? 0 : 5000) + 100 * label + i;
        const bytes = await jpeg(30 + seed * 37 % 120, 25 + seed * 53 % 140, seed, {
          progressive: i % 3 === 0,
          chromaSubsampling: i % 2 === 0 ? "4:2:0" : "4:4:4",
        });
        const name = split === "train" ? `${id}_${i}` : `ILSVRC2012_val_${String(seed).padStart(8, "0")}`;
        images.push({ file: `${id}/${name}.JPEG`, label, bytes });
      }
    }
    return images;
  };
  return { train: await draw("train", 40), test: await draw("test", 12) };
}

/** The first images of each class. */
export function few({ train, test }: SmallImageNet, perClass: number): SmallImageNet {
  const firstOf = (images: readonly TestImage[]) =>
    classIds.flatMap((_, label) => images.filter((image) => image.label === label).slice(0, perClass));
  return { train: firstOf(train), test: firstOf(test) };
}

/** The loader's options, from what a recipe may say; data and cache lie in `folder`. */
export function recipe(folder: string, options: Record<string, unknown> = {}) {
  const given = { size: 64, root: join(folder, "data"), cache: join(folder, "cache"), expect, threads: 2, ...options };
  return imageNet.options.parse(given);
}

/** A folder for a test, removed afterwards, when the threads that read in it have ended. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "nfm-imagenet-" });
  try {
    await use(folder);
  } finally {
    await closeSharedPool();
    await Deno.remove(folder, { recursive: true });
  }
}

/** The layouts, each as a function that lays a set out under a folder. */
export const layOut = {
  async folder(root: string, { train, test }: SmallImageNet): Promise<void> {
    for (const [split, images] of [["train", train], ["val", test]] as const) {
      for (const { file, bytes } of images) await write(join(root, split, file), bytes);
    }
  },

  /** Shards of 64 samples, shuffled, as WebDataset writes them: `.jpg` and `.cls` of one key. */
  async webdataset(root: string, { train, test }: SmallImageNet): Promise<void> {
    for (const [split, images] of [["train", shuffled(train)], ["validation", shuffled(test)]] as const) {
      for (let shard = 0; shard * 64 < images.length; shard++) {
        const members = images.slice(shard * 64, shard * 64 + 64).flatMap(({ file, label, bytes }) => {
          const key = file.split("/")[1]!.replace(".JPEG", "");
          return [[`${key}.cls`, text(`${label}`)], [`${key}.jpg`, bytes], [`${key}.json`, text("{}")]] as const;
        });
        await write(join(root, `imagenet1k-${split}-${String(shard).padStart(4, "0")}.tar`), tar(members));
      }
    }
  },

  /** Shards of 70 rows in row groups of 16, shuffled, as the hub's are. */
  async parquet(root: string, { train, test }: SmallImageNet): Promise<void> {
    for (const [split, images] of [["train", shuffled(train)], ["validation", shuffled(test)]] as const) {
      const shards = Math.ceil(images.length / 70);
      for (let shard = 0; shard < shards; shard++) {
        const number = (n: number) => String(n).padStart(5, "0");
        const name = `${split}-${number(shard)}-of-${number(shards)}.parquet`;
        await write(join(root, "data", name), parquet(images.slice(shard * 70, shard * 70 + 70)));
      }
    }
  },

  /** Chrabaszcz's arrays, his labels (from 1, in an order of their own) and his map; one compressed, one not. */
  async npz(root: string, { train, test }: SmallImageNet): Promise<void> {
    const order = [3, 0, 4, 2, 1]; // his number n is class order[n − 1]
    const map = order.map((label, i) => `${classIds[label]} ${i + 1} thing_${i}\n`).join("");
    await write(join(root, "map_clsloc.txt"), text(map));
    const parts = {
      train_data_batch_1: shuffled(train).slice(0, 90),
      train_data_batch_2: shuffled(train).slice(90),
      val_data: shuffled(test),
    };
    for (const [name, images] of Object.entries(parts)) {
      const pixels: Uint8Array[] = [];
      for (const { file, bytes } of images) {
        const made = await prepareImage({ name: file, coded: bytes }, 64);
        if ("fault" in made) throw new Error(made.fault);
        pixels.push(made.pixels);
      }
      const labels = new BigInt64Array(images.map(({ label }) => BigInt(order.indexOf(label) + 1)));
      await write(
        join(root, `${name}.npz`),
        await npz({
          data: npy("|u1", [images.length, 3 * 64 * 64], concat(pixels)),
          labels: npy("<i8", [images.length], new Uint8Array(labels.buffer)),
        }, name.endsWith("1") ? 0 : 6),
      );
    }
  },
} as const;

/** A ustar archive of regular files, or of members of another `type`. */
export function tar(members: readonly (readonly [name: string, data: Uint8Array, type?: string])[]): Uint8Array {
  const blocks = members.flatMap(([name, data, type = "0"]) => {
    const header = new Uint8Array(512);
    const put = (at: number, value: string) => header.set(text(value), at);
    put(0, name);
    put(100, "0000644\0");
    put(124, `${data.length.toString(8).padStart(11, "0")}\0`);
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, type);
    put(257, "ustar\x0000");
    put(148, `${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `);
    return [header, data, new Uint8Array((512 - data.length % 512) % 512)];
  });
  return concat([...blocks, new Uint8Array(1024)]);
}

/** A Parquet file with the hub's columns. */
export function parquet(images: readonly TestImage[]): Uint8Array {
  const optional = { repetition_type: "OPTIONAL" } as const;
  return new Uint8Array(parquetWriteBuffer({
    schema: [
      { name: "root", num_children: 2 },
      { name: "image", num_children: 2, ...optional },
      { name: "bytes", type: "BYTE_ARRAY", ...optional },
      { name: "path", type: "BYTE_ARRAY", converted_type: "UTF8", ...optional },
      { name: "label", type: "INT64", ...optional },
    ],
    columnData: [
      { name: "image", data: images.map(({ file, bytes }) => ({ bytes, path: file.split("/")[1]! })) },
      { name: "label", data: images.map(({ label }) => BigInt(label)) },
    ],
    rowGroupSize: 16,
  }));
}

/** A NumPy array file of version 1. */
export function npy(type: string, shape: readonly number[], values: Uint8Array): Uint8Array {
  const facts = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")}${
    shape.length === 1 ? "," : ""
  }), }`;
  const header = facts.padEnd(117) + "\n";
  return concat([Uint8Array.of(0x93, ...text("NUMPY"), 1, 0, header.length, 0), text(header), values]);
}

/** An npz archive, stored at level 0. */
export async function npz(arrays: Readonly<Record<string, Uint8Array>>, level: number): Promise<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const bytes = new Response(readable).arrayBuffer();
  const zip = new ZipWriter(writable, { level, useWebWorkers: false });
  for (const [name, array] of Object.entries(arrays)) {
    await zip.add(`${name}.npy`, new Response(own(array)).body!);
  }
  await zip.close();
  return new Uint8Array(await bytes);
}

/** Writes a file and the folders above it. */
export async function write(path: string, bytes: Uint8Array): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeFile(path, bytes);
}

export const text = (words: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(words);

function shuffled<Value>(values: readonly Value[]): Value[] {
  return [...createRng(1).fork("shuffle").permutation(values.length)].map((i) => values[i]!);
}

const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);
