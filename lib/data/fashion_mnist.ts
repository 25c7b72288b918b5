import * as z from "zod";
import { Problem } from "../core/problem.ts";
import type { DatasetKind } from "./kind.ts";
import { loadMnistFormat, mnistFiles } from "./mnist_format.ts";
import { preparedSizes } from "./prepare.ts";
import { fewer, trainingImages } from "./subset.ts";
import type { Dataset } from "./types.ts";

const options = z.strictObject({
  size: z.literal(preparedSizes).default(16)
    .describe("Side in pixels: 28 as published, 32 padded with black, 16 and 8 by box averages of the 32"),
  images: trainingImages,
  root: z.string().min(1).optional()
    .describe("Folder of the four files, gzipped or not; without it the usual places are searched"),
});

const digests = {
  "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
  "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
  "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
  "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
};

/** Where the files may lie unasked: Debian's package `dataset-fashion-mnist`, then the project's data cache. */
const usualPlaces = ["/usr/share/datasets/fashion-mnist", ".nfm/data/fashion-mnist"];

/** Fashion-MNIST, 60000 + 10000 articles of clothing (Xiao et al. 2017), in its original files and splits. */
export const fashionMnist = {
  options,
  places: ["root"],
  /** @throws {Problem} if a file is missing (saying how to get it), damaged, or not the published one */
  async load({ size, root, images }: z.output<typeof options>, split: "train" | "test"): Promise<Dataset> {
    const folders = root === undefined ? usualPlaces : [root];
    const locate = (file: string) => findFile(file, folders);
    return fewer(await loadMnistFormat({ name: "fashionMnist", locate, digests, split, size }), images);
  },
} satisfies DatasetKind<z.output<typeof options>>;

/**
 * The path of `file` or `file`.gz in the first of `folders` that has it.
 *
 * @throws {Problem} saying where it was sought and how to get it
 */
export async function findFile(file: string, folders: readonly string[]): Promise<string> {
  for (const folder of folders) {
    for (const path of [`${folder}/${file}.gz`, `${folder}/${file}`]) {
      const found = await Deno.stat(path).catch(() => undefined);
      if (found?.isFile) return path;
    }
  }
  const names = Object.values(mnistFiles).flatMap((files) => Object.values(files)).map((name) => `${name}.gz`);
  throw new Problem(
    `Cannot find ${file}.gz of Fashion-MNIST in ${folders.join(" or ")}: install Debian's package with ` +
      `\`apt-get install dataset-fashion-mnist\`, or download ${names.join(", ")} from ` +
      `https://github.com/zalandoresearch/fashion-mnist and give their folder as \`data.root=FOLDER\``,
  );
}
