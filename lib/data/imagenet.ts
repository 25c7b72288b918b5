import * as z from "zod";
import { published } from "./imagenet/counts.ts";
import { layouts } from "./imagenet/source.ts";
import type { DatasetKind, Inspection } from "./kind.ts";
import { fewer, trainingImages } from "./subset.ts";
import type { Dataset } from "./types.ts";

const count = (n: number) => z.int().positive().default(n);

const options = z.strictObject({
  size: z.literal([64, 256]).describe("Side in pixels after the box resize of Chrabaszcz et al. (2017)"),
  root: z.string().min(1).describe("Folder with train/ and val/, one folder of images per class, or with shards"),
  format: z.enum(["auto", ...layouts]).default("auto")
    .describe("How the images lie there: class folders, Parquet, WebDataset tars or Chrabaszcz's npz; auto looks"),
  cache: z.union([z.literal(false), z.string().min(1)]).default(".nfm/data/imagenet")
    .describe("Folder of the prepared pixels (16 GB at 64, 262 GB at 256); false decodes the source in every epoch"),
  unusual: z.enum(["refuse", "convert"]).default("refuse")
    .describe('Images that are not upright RGB: name them and stop, or convert them as Pillow\'s convert("RGB") does'),
  classMap: z.string().min(1).optional()
    .describe("map_clsloc.txt, which gives the order of the npz labels; without it, the one in root"),
  expect: z.strictObject({
    train: count(published.train),
    test: count(published.test),
    classes: count(published.classes),
  }).prefault({}).describe("Images of each split and classes that there must be; test is ILSVRC's validation set"),
  threads: z.int().positive().optional().describe("Threads that decode; one per core when absent"),
  images: trainingImages,
});

/** ImageNet (ILSVRC 2012), 1281167 + 50000 images in 1000 classes, squashed to a square. */
export const imageNet = {
  options,
  places: ["root", "format", "cache", "classMap", "threads"],
  /**
   * Prepares the split first where that is not done: hours on few cores, resumable.
   *
   * @throws {Problem} if images are missing, damaged or refused, naming up to ten, or the counts are not those expected
   */
  async load({ images, ...set }: z.output<typeof options>, split: "train" | "test"): Promise<Dataset> {
    const { openSet } = await import("./imagenet/set.ts"); // not before: a recipe is read without file formats
    return fewer(await openSet(set, split), images);
  },
  async inspect({ images, ...set }: z.output<typeof options>, split: "train" | "test"): Promise<Inspection> {
    const { inspectSet } = await import("./imagenet/inspect.ts");
    const { outline, ...inspection } = await inspectSet(set, split);
    return { ...inspection, outline: fewer(outline, images) };
  },
} satisfies DatasetKind<z.output<typeof options>>;
