import { Problem } from "../../core/problem.ts";
import { wordNetId } from "./class_order.ts";
import { latin } from "./image_header.ts";
import type { ImageSource, SourceImage, TarEntry, TarPiece } from "./source.ts";
import { readAt, readTarIndex, type TarMember } from "./tar.ts";

/** A sample of a shard: its image and, from its `.cls` member, its class. */
interface Sample {
  readonly image: TarEntry;
  readonly label: number | undefined;
}

const images = /^(jpe?g|png)$/i;

/**
 * Tar shards in WebDataset's convention: members that share their name up to
 * the first point are one sample, with an image and a `.cls` that holds its
 * class as a number. Without `.cls` the WordNet id in the names decides.
 *
 * @param onProgress told how many shards are indexed
 * @throws {Problem} naming the shard and the sample without image or label
 */
export async function tarSource(files: readonly string[], onProgress: (done: number) => void): Promise<ImageSource> {
  const samples: Sample[] = [];
  for (const [i, path] of files.entries()) {
    using file = await Deno.open(path);
    samples.push(...samplesOf(path, file, readTarIndex(path, file)));
    onProgress(i + 1);
  }
  const pieceOf = (chosen: readonly Sample[]): TarPiece => ({
    layout: "webdataset",
    entries: chosen.map(({ image }) => image),
  });
  return {
    layout: "webdataset",
    ...labelled(samples),
    piece: (begin, end) => pieceOf(samples.slice(begin, end)),
    pick: (rows) => pieceOf(Array.from(rows, (row) => samples[row]!)),
  };
}

/** The images of a piece, one after the other. */
export async function* readTar({ entries }: TarPiece): AsyncGenerator<SourceImage> {
  const open = new Map<string, Deno.FsFile>();
  try {
    for (const { file, name, offset, size } of entries) {
      if (!open.has(file)) open.set(file, await Deno.open(file));
      yield { name: `${file}: ${name}`, id: wordNetId(name), coded: readAt(open.get(file)!, offset, size) };
    }
  } finally {
    for (const file of open.values()) file.close();
  }
}

function samplesOf(path: string, file: Deno.FsFile, members: readonly TarMember[]): Sample[] {
  const byKey = new Map<string, { image?: TarMember; cls?: TarMember }>();
  for (const member of members) {
    const [, key, extension] = /^(.*?[^/.][^/.]*)\.([^/]+)$/.exec(member.name) ?? [];
    if (extension === "tar") {
      throw new Problem(
        `Cannot use ${path}: it holds archives (${member.name}), as image-net.org packs the training set; unpack each ` +
          "into a folder of its name and give the folder above as data.root",
      );
    }
    if (key === undefined || !images.test(extension!) && extension !== "cls") continue;
    const sample = byKey.get(key) ?? {};
    byKey.set(key, sample);
    const role = extension === "cls" ? "cls" : "image";
    if (sample[role]) throw new Problem(`Cannot use ${path}: ${key} has two ${role === "cls" ? "labels" : "images"}`);
    sample[role] = member;
  }
  return [...byKey].map(([key, { image, cls }]) => {
    if (!image) throw new Problem(`Cannot use ${path}: ${key} has a label and no image (.jpg, .jpeg, .png)`);
    return { image: { file: path, ...image }, label: cls && labelIn(path, file, cls) };
  });
}

function labelIn(path: string, file: Deno.FsFile, { name, offset, size }: TarMember): number {
  const text = latin(readAt(file, offset, Math.min(size, 16)), 0, 16).trim();
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new Problem(`Cannot use ${path}: ${name} holds "${text}", expected the class as a number`);
}

function labelled(samples: readonly Sample[]): Pick<ImageSource, "labels" | "classNames"> {
  if (samples.every(({ label }) => label !== undefined)) {
    return { labels: Uint16Array.from(samples, ({ label }) => label!) };
  }
  const ids = samples.map(({ image: { file, name } }) => {
    const id = wordNetId(name);
    if (id !== undefined) return id;
    throw new Problem(
      `Cannot use ${file}: ${name} has no label; expected a member of its name ending in .cls with the class as a ` +
        "number, or its WordNet id in its name",
    );
  });
  const classNames = [...new Set(ids)].sort();
  const labelOf = new Map(classNames.map((id, label) => [id, label]));
  return { labels: Uint16Array.from(ids, (id) => labelOf.get(id)!), classNames };
}
