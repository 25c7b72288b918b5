import { join, resolve } from "node:path";
import { exists, readText, writeFileAtomic } from "../../core/files.ts";
import { hashOf } from "../../core/hash.ts";
import { Problem } from "../../core/problem.ts";
import type { ChunkRecord } from "./chunk.ts";
import type { Layout } from "./source.ts";

/** Raised when the same images would be prepared to other pixels. */
const version = 1;

/** What is prepared, and from which files: `plan.json`, written first. */
export interface PreparationPlan {
  readonly version: number;
  readonly split: "train" | "test";
  readonly size: number;
  readonly root: string;
  readonly layout: Layout;
  readonly fingerprint: string;
  readonly images: number;
  readonly rowsPerChunk: number;
  /** Whether the pixels are kept, or their digests alone. */
  readonly pixels: boolean;
}

/** What was prepared: `manifest.json`, written last. */
export interface Manifest {
  /** SHA-256 over shape, labels and pixels in the set's order, whatever layout they came from. */
  readonly digest: string;
  readonly chunks: readonly { readonly rows: number; readonly pixels: string; readonly digests: string }[];
  /** SHA-256 of the file of the order and labels. */
  readonly order: string;
  /** How many images had to be converted, by what is unusual about them, with the first names of each. */
  readonly unusual: readonly { readonly what: string; readonly count: number; readonly names: readonly string[] }[];
}

/**
 * Where a split is kept: `<split>-<size>-<hash of root and format>` under the
 * cache folder, with `pixels-00000.bin` [rows, 3, size, size], `digests-00000.bin`
 * [rows, 32] and `chunk-00000.json` for every chunk, `order.bin`, `plan.json`
 * and `manifest.json`.
 */
export function preparedFolder(
  cache: string,
  { split, size, root, format, pixels }: {
    split: string;
    size: number;
    root: string;
    format: string;
    pixels: boolean;
  },
): string {
  const place = hashOf([resolve(root), format]).slice(0, 8);
  return join(cache, `${split}-${size}-${place}${pixels ? "" : "-digests"}`);
}

const numbered = (name: string, chunk: number, extension: string) =>
  `${name}-${String(chunk).padStart(5, "0")}.${extension}`;
export const pixelsFile = (folder: string, chunk: number): string => join(folder, numbered("pixels", chunk, "bin"));
export const digestsFile = (folder: string, chunk: number): string => join(folder, numbered("digests", chunk, "bin"));
export const orderFile = (folder: string): string => join(folder, "order.bin");
const recordFile = (folder: string, chunk: number): string => join(folder, numbered("chunk", chunk, "json"));

/** Chunks of about 50 MB at 64 and 200 MB at 256 pixels: small enough to lose one, large enough for few files. */
export function chunkRows(size: number): number {
  return Math.max(1, Math.floor(4096 * 64 / size));
}

export function planOf(plan: Omit<PreparationPlan, "version" | "rowsPerChunk">): PreparationPlan {
  return { version, rowsPerChunk: chunkRows(plan.size), ...plan };
}

/** @returns `undefined` where nothing was begun */
export async function readPlan(folder: string): Promise<PreparationPlan | undefined> {
  return await readJson(join(folder, "plan.json"));
}

/** @returns `undefined` where the preparation is not complete */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  return await readJson(join(folder, "manifest.json"));
}

/** @returns `undefined` where the chunk is not made yet */
export async function readRecord(folder: string, chunk: number): Promise<ChunkRecord | undefined> {
  return await readJson(recordFile(folder, chunk));
}

export async function writeRecord(folder: string, chunk: number, record: ChunkRecord): Promise<void> {
  await writeFileAtomic(recordFile(folder, chunk), JSON.stringify(record));
}

export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  await writeFileAtomic(join(folder, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`);
}

/**
 * Begins a preparation, or goes on with the one that is there.
 *
 * @throws {Problem} if that one was of other files: it is hours of work, so it is not thrown away unasked
 */
export async function beginPlan(folder: string, plan: PreparationPlan): Promise<void> {
  const before = await readPlan(folder);
  if (before === undefined) {
    await writeFileAtomic(join(folder, "plan.json"), `${JSON.stringify(plan, null, 1)}\n`);
  } else if (hashOf(before) !== hashOf(plan)) {
    throw stale(folder, plan.root);
  }
}

/** What to do when the files in `root` are no longer those that `folder` was prepared from. */
export function stale(folder: string, root: string): Problem {
  return new Problem(
    `${folder} was prepared from other files than are in ${root} now (names or sizes differ), or by another version: ` +
      "remove that folder to prepare it anew, or name another with data.cache",
  );
}

async function readJson<Value>(path: string): Promise<Value | undefined> {
  if (!await exists(path)) return undefined;
  try {
    return JSON.parse(await readText(path));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new Problem(`Cannot read ${path}: it is damaged; remove its folder to prepare it anew`, { cause });
  }
}
