import { readBytes } from "../../core/files.ts";
import { hashOf } from "../../core/hash.ts";
import { Problem } from "../../core/problem.ts";
import { say } from "../../core/terminal.ts";
import type { Dataset } from "../types.ts";
import { checkCounts, type Expected } from "./counts.ts";
import { inWords, refusal, type UnusualPolicy } from "./faults.ts";
import { findFiles, type FoundFiles, missing, openSource, type Whereabouts } from "./find_source.ts";
import { decodeOrder, digestBytes, type SetOrder } from "./order.ts";
import { sharedPool } from "./pool.ts";
import { prepare } from "./preparation.ts";
import {
  beginPlan,
  digestsFile,
  type Manifest,
  orderFile,
  planOf,
  type PreparationPlan,
  preparedFolder,
  readManifest,
  readPlan,
  stale,
} from "./prepared.ts";
import { createGather, fromPixels, fromSource, type Gathering } from "./set_gather.ts";
import { type ImageSource } from "./source.ts";
import { verifyPixels } from "./verify.ts";

/** ImageNet as a recipe describes it. */
export interface SetOptions extends Whereabouts {
  readonly cache: string | false;
  readonly unusual: UnusualPolicy;
  readonly expect: Expected;
  readonly threads?: number | undefined;
}

type Split = "train" | "test";

/** A split whose preparation is complete. */
interface PreparedSet {
  readonly plan: PreparationPlan;
  readonly manifest: Manifest;
  readonly order: SetOrder;
  readonly folder: string;
}

/** Where a split is prepared. Without a cache of pixels its digests are kept all the same. */
export function setFolder({ cache, size, root, format }: SetOptions, split: Split): string {
  return preparedFolder(cache === false ? ".nfm/data/imagenet" : cache, {
    split,
    size,
    root,
    format,
    pixels: cache !== false,
  });
}

/**
 * A split of ImageNet: found, counted, prepared where that is not done yet,
 * and verified.
 *
 * @throws {Problem} naming what is missing, damaged, refused, or not as expected
 */
export async function openSet(options: SetOptions, split: Split): Promise<Dataset> {
  const found = await findFiles(options, split);
  const set = await readSet(options, split, found) ?? await prepareSet(options, split, found);
  const { plan, manifest, order, folder } = set;
  checkCounts(folder, { labels: order.labels }, split, options.expect);
  const name = `imageNet ${plan.size}x${plan.size}`;
  if (manifest.unusual.length > 0) {
    if (options.unusual === "refuse") throw refusal(plan, manifest.unusual, false);
    say(`${name} ${split}: converted to RGB as Pillow does: ${inWords(manifest.unusual)}`);
  }
  if (plan.pixels) await verifyPixels(folder, manifest);
  const gathering = plan.pixels
    ? fromPixels(folder, plan.rowsPerChunk)
    : await decoding(set, await openSource(required(found, options, split), options));
  return {
    ...factsOf(options, split),
    name,
    size: plan.images,
    digest: manifest.digest,
    labels: Int32Array.from(order.labels),
    gather: createGather(order, plan.size, gathering, sharedPool(options.threads)),
  };
}

/** What a split is by its options alone. */
export function factsOf({ size, expect }: SetOptions, split: Split): Pick<Dataset, "split" | "shape" | "classes"> {
  return { split, shape: [3, size, size], classes: expect.classes };
}

/**
 * A split whose preparation is complete.
 *
 * @returns `undefined` if it is not
 * @throws {Problem} if it was made of other files, or is damaged
 */
export async function readSet(
  options: SetOptions,
  split: Split,
  found: FoundFiles | undefined,
): Promise<PreparedSet | undefined> {
  const folder = setFolder(options, split);
  const plan = await readPlan(folder), manifest = await readManifest(folder);
  if (!plan || !manifest) return undefined;
  // Without the source, prepared pixels are enough.
  if (found && found.fingerprint !== plan.fingerprint) throw stale(folder, options.root);
  const encoded = await readBytes(orderFile(folder));
  if (hashOf(encoded) === manifest.order) return { plan, manifest, order: decodeOrder(encoded), folder };
  throw new Problem(`${orderFile(folder)} is damaged: remove ${folder} to prepare it anew`, { exitCode: 74 });
}

async function prepareSet(options: SetOptions, split: Split, found: FoundFiles | undefined): Promise<PreparedSet> {
  const { layout, fingerprint } = required(found, options, split);
  const source = await openSource(found!, options);
  checkCounts(options.root, source, split, options.expect);
  const pixels = options.cache !== false;
  if (!pixels) pickable(source);
  const { size, root, unusual } = options;
  const plan = planOf({ split, size, root, layout, fingerprint, images: source.labels.length, pixels });
  const folder = setFolder(options, split);
  await beginPlan(folder, plan);
  await prepare({ plan, source, folder, unusual, pool: sharedPool(options.threads) });
  return (await readSet(options, split, found))!;
}

async function decoding({ plan, manifest, folder }: PreparedSet, source: ImageSource): Promise<Gathering> {
  const digests = new Uint8Array(plan.images * digestBytes);
  for (const [chunk, { digests: expected }] of manifest.chunks.entries()) {
    const bytes = await readBytes(digestsFile(folder, chunk));
    if (hashOf(bytes) !== expected) {
      throw new Problem(`${digestsFile(folder, chunk)} is damaged: remove ${folder} to prepare it anew`, {
        exitCode: 74,
      });
    }
    digests.set(bytes, chunk * plan.rowsPerChunk * digestBytes);
  }
  return fromSource(pickable(source), digests);
}

function pickable({ pick, layout }: ImageSource): Required<Pick<ImageSource, "pick">> {
  if (pick) return { pick };
  throw new Problem(
    `data.cache=false decodes images one by one, and ${layout} cannot be read so: name a folder for the prepared pixels ` +
      "in data.cache, or give class folders or tar shards",
  );
}

function required(found: FoundFiles | undefined, options: SetOptions, split: Split): FoundFiles {
  if (found) return found;
  throw missing(options, split);
}
