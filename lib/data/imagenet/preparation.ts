import { statfs } from "node:fs/promises";
import { readBytes, writeFileAtomic } from "../../core/files.ts";
import { hashOf } from "../../core/hash.ts";
import { Problem } from "../../core/problem.ts";
import { progress } from "../../core/terminal.ts";
import type { ChunkRecord, Fault } from "./chunk.ts";
import { seeClass, type SeenClasses } from "./class_order.ts";
import { listFaults, refusal, sumUnusual, type UnusualPolicy } from "./faults.ts";
import { digestBytes, digestOf, encodeOrder, orderImages } from "./order.ts";
import type { Pool } from "./pool.ts";
import {
  digestsFile,
  type Manifest,
  orderFile,
  pixelsFile,
  type PreparationPlan,
  readRecord,
  writeManifest,
  writeRecord,
} from "./prepared.ts";
import type { ImageSource } from "./source.ts";

/** A preparation under way. */
export interface Preparation {
  readonly plan: PreparationPlan;
  readonly source: ImageSource;
  /** Where it is kept; see `preparedFolder`. */
  readonly folder: string;
  readonly unusual: UnusualPolicy;
  readonly pool: Pool;
}

/** Faults after which looking for more is no use: something is wrong with all of it. */
const enoughFaults = 1000;

/**
 * Prepares every image of a split that is not prepared yet and writes the
 * manifest. Killed at any moment and started again, it goes on at the chunk
 * where it was, and ends with the same bytes.
 *
 * @throws {Problem} when images have faults, naming up to ten: the chunks without any are kept
 */
export async function prepare(preparation: Preparation): Promise<Manifest> {
  const { plan, folder } = preparation;
  const chunks = Math.ceil(plan.images / plan.rowsPerChunk);
  const records = await Promise.all(Array.from({ length: chunks }, (_, chunk) => wholeRecord(preparation, chunk)));
  await prepareMissing(preparation, records);
  const whole = records as ChunkRecord[];
  checkClasses(preparation, whole);
  const digests = new Uint8Array(plan.images * digestBytes);
  for (const [chunk, record] of whole.entries()) {
    const bytes = await readBytes(digestsFile(folder, chunk));
    if (hashOf(bytes) !== record.digests) {
      throw new Problem(`${digestsFile(folder, chunk)} is damaged; remove it and run again`, { exitCode: 74 });
    }
    digests.set(bytes, chunk * plan.rowsPerChunk * digestBytes);
  }
  const order = orderImages(preparation.source.labels, digests), encoded = encodeOrder(order);
  await writeFileAtomic(orderFile(folder), encoded);
  const manifest: Manifest = {
    digest: digestOf([3, plan.size, plan.size], order, digests),
    chunks: whole.map(({ rows, pixels, digests }) => ({ rows, pixels, digests })),
    order: hashOf(encoded),
    unusual: sumUnusual(whole),
  };
  await writeManifest(folder, manifest);
  return manifest;
}

/** Bytes that the pixels of `images` images take. */
export function pixelBytes(images: number, size: number): number {
  return images * 3 * size * size;
}

async function prepareMissing(preparation: Preparation, records: (ChunkRecord | undefined)[]): Promise<void> {
  const { plan, source, folder, unusual, pool } = preparation;
  const left = [...records.keys()].filter((chunk) => records[chunk] === undefined);
  if (left.length === 0) return;
  const begin = (chunk: number) => chunk * plan.rowsPerChunk;
  const end = (chunk: number) => Math.min(begin(chunk + 1), plan.images);
  const missing = left.reduce((sum, chunk) => sum + end(chunk) - begin(chunk), 0);
  if (plan.pixels) await checkSpace(folder, pixelBytes(missing, plan.size));
  const present = () => records.filter((record) => record !== undefined);
  const refused = (some: readonly ChunkRecord[]) =>
    unusual === "refuse" ? some.reduce((sum, record) => sum + record.unusual.length, 0) : 0;
  const faults: Fault[] = [];
  let done = plan.images - missing, odd = refused(present());
  const bar = progress(`preparing ImageNet ${plan.size} ${plan.split}`, plan.images, "images");
  bar.update(done);
  const lane = async () => {
    for (let chunk = left.shift(); chunk !== undefined && odd < enoughFaults; chunk = left.shift()) {
      const made = await preparation.pool.run<ChunkRecord | { readonly faults: readonly Fault[] }>({
        prepare: {
          piece: source.piece(begin(chunk), end(chunk)),
          labels: source.labels.slice(begin(chunk), end(chunk)),
          size: plan.size,
          digests: digestsFile(folder, chunk),
          ...(plan.pixels && { pixels: pixelsFile(folder, chunk) }),
        },
      });
      if ("faults" in made) {
        faults.push(...made.faults);
      } else {
        await writeRecord(folder, chunk, made);
        records[chunk] = made;
      }
      odd += "faults" in made ? made.faults.length : refused([made]);
      bar.update(done += end(chunk) - begin(chunk), odd > 0 ? `${odd} refused` : "");
    }
  };
  try {
    // A compressed array can only be read from front to back: by one.
    await Promise.all(Array.from({ length: source.layout === "npz" ? 1 : pool.threads }, lane));
  } finally {
    bar.stop();
  }
  if (faults.length > 0) throw listFaults(plan, faults, done < plan.images);
  if (done < plan.images) throw refusal(plan, sumUnusual(present()), true);
}

/** The record of a chunk whose files are there in full. */
async function wholeRecord({ plan, folder }: Preparation, chunk: number): Promise<ChunkRecord | undefined> {
  const record = await readRecord(folder, chunk);
  if (!record) return undefined;
  const isWhole = async (path: string, bytes: number) =>
    await Deno.stat(path).then(({ size }) => size === bytes, () => false);
  if (!await isWhole(digestsFile(folder, chunk), record.rows * digestBytes)) return undefined;
  if (!plan.pixels) return record;
  return await isWhole(pixelsFile(folder, chunk), pixelBytes(record.rows, plan.size)) ? record : undefined;
}

/** @throws {Problem} if the names of some images say another class than their labels */
function checkClasses({ plan: { root, split } }: Preparation, records: readonly ChunkRecord[]): void {
  const seen: SeenClasses = new Map();
  for (const [label, id] of records.flatMap(({ classes }) => classes)) {
    const wrong = seeClass(seen, label, id);
    if (wrong !== undefined) throw new Problem(`Cannot use the ${split} images in ${root}: an image ${wrong}`);
  }
}

async function checkSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize, gigabytes = (count: number) => `${(count / 1e9).toFixed(1)} GB`;
  if (free >= bytes) return;
  throw new Problem(
    `Cannot prepare ImageNet in ${folder}: it takes ${gigabytes(bytes)} and ${gigabytes(free)} are free; free some ` +
      "space, name another disk with data.cache, or decode anew in every epoch with data.cache=false",
    { exitCode: 74 },
  );
}
