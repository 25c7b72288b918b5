import { dirname, join } from "node:path";
import { wordNetId } from "./class_order.ts";
import type { FolderPiece, ImageSource, SourceImage } from "./source.ts";

/** The class folders of one split and their files, sorted. */
export interface ClassFolders {
  readonly names: readonly string[];
  /** Of each class, from the split's folder: `n01440764/n01440764_10026.JPEG`. */
  readonly files: readonly (readonly string[])[];
}

/** Lists `folder`: one folder of images for each class; hidden files are passed over. */
export async function listClassFolders(folder: string): Promise<ClassFolders> {
  const names = await namesIn(folder, (entry) => entry.isDirectory);
  const files: string[][] = [];
  for (const name of names) {
    files.push((await namesIn(join(folder, name), (entry) => entry.isFile)).map((file) => `${name}/${file}`));
  }
  return { names, files };
}

/** A folder with one folder of images per class: the archives of image-net.org, unpacked. */
export function folderSource(folder: string, { names, files }: ClassFolders): ImageSource {
  const all = files.flat();
  return {
    layout: "folder",
    labels: Uint16Array.from(files.flatMap((inClass, label) => inClass.map(() => label))),
    classNames: names,
    piece: (begin, end) => ({ layout: "folder", folder, files: all.slice(begin, end) }),
    pick: (rows) => ({ layout: "folder", folder, files: Array.from(rows, (row) => all[row]!) }),
  };
}

/** The files of a piece, one after the other. */
export async function* readFolder({ folder, files }: FolderPiece): AsyncGenerator<SourceImage> {
  for (const file of files) {
    const name = join(folder, file), id = wordNetId(dirname(file));
    try {
      yield { name, id, coded: await Deno.readFile(name) };
    } catch (error) {
      const missing = error instanceof Deno.errors.NotFound;
      yield { name, fault: missing ? "does not exist" : `cannot be read: ${(error as Error).message}` };
    }
  }
}

/** A link to nothing counts as a file, so that it is named when it is read. */
const missingFile = { isFile: true, isDirectory: false };

/** Names of the entries that are of a type, links to such included, sorted by code point. */
async function namesIn(folder: string, ofType: (entry: typeof missingFile) => boolean): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.name.startsWith(".")) continue;
    const target = entry.isSymlink ? await Deno.stat(join(folder, entry.name)).catch(() => missingFile) : entry;
    if (ofType(target)) names.push(entry.name);
  }
  return names.sort();
}
