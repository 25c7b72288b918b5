import { findFiles, openSource } from "../../../lib/data/imagenet/find_source.ts";
import { createPool } from "../../../lib/data/imagenet/pool.ts";
import { prepare } from "../../../lib/data/imagenet/preparation.ts";
import { beginPlan, planOf } from "../../../lib/data/imagenet/prepared.ts";
import { setFolder } from "../../../lib/data/imagenet/set.ts";
import { recipe } from "./small_imagenet.ts";

/** Prepares the training split under `folder` in pieces of a few images, as a set of millions has thousands of pieces. */
export async function prepareInPieces(folder: string, rowsPerChunk: number): Promise<string> {
  const options = recipe(folder), { size, root } = options;
  const found = (await findFiles(options, "train"))!, source = await openSource(found, options);
  const { layout, fingerprint } = found, images = source.labels.length;
  const plan = { ...planOf({ split: "train", size, root, layout, fingerprint, images, pixels: true }), rowsPerChunk };
  const into = setFolder(options, "train"), pool = createPool(2);
  try {
    await beginPlan(into, plan);
    return (await prepare({ plan, source, folder: into, unusual: "convert", pool })).digest;
  } finally {
    await pool.close();
  }
}

// Run as a program, to be killed.
if (import.meta.main) console.log(await prepareInPieces(Deno.args[0]!, Number(Deno.args[1])));
