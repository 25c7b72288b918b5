import { basename, dirname, join, relative } from "node:path";
import { exists } from "../../core/files.ts";
import { hashOf } from "../../core/hash.ts";
import { Problem } from "../../core/problem.ts";
import { withProgress } from "../../core/terminal.ts";
import { npzSource } from "./chrabaszcz.ts";
import { type ClassFolders, folderSource, listClassFolders } from "./folder.ts";
import { parquetSource } from "./parquet_shards.ts";
import { type ImageSource, type Layout, layouts } from "./source.ts";
import { tarSource } from "./tar_shards.ts";

/** What a recipe says of where ImageNet lies. */
export interface Whereabouts {
  readonly root: string;
  readonly format: Layout | "auto";
  readonly size: number;
  readonly classMap?: string | undefined;
}

/** One split's files, found by name alone: nothing is read yet. */
export interface FoundFiles {
  readonly layout: Layout;
  /** The split's folder of class folders, or its shards, sorted. */
  readonly paths: readonly string[];
  readonly folders?: ClassFolders;
  /** Hash of the names, of shards with their sizes: whether these are still the files that were prepared. */
  readonly fingerprint: string;
}

/** How the splits are called in file and folder names. ImageNet's own test set has no public labels: validation is ours. */
const splitNames = { train: ["train"], test: ["val", "validation", "valid"] } as const;
const extensions = { parquet: ".parquet", webdataset: ".tar", npz: ".npz" } as const;

/**
 * Looks for a split of ImageNet under `root`: a folder `train` or `val` of class
 * folders, or shards with the split's name in their name or their folder's,
 * directly under `root` or one folder down.
 *
 * @returns `undefined` where `root` has none of them
 * @throws {Problem} if it has several layouts and `format` is `auto`
 */
export async function findFiles(
  { root, format }: Whereabouts,
  split: "train" | "test",
): Promise<FoundFiles | undefined> {
  if (!await exists(root)) return undefined;
  const found: FoundFiles[] = [];
  const files = await filesUnder(root);
  for (const layout of layouts) {
    if (format !== "auto" && format !== layout) continue;
    if (layout === "folder") {
      const classes = await classFoldersUnder(root, split);
      if (classes) found.push(classes);
      continue;
    }
    const paths = files.filter((path) => path.endsWith(extensions[layout]) && isOf(split, root, path));
    if (paths.length === 0) continue;
    const sizes = await Promise.all(paths.map(async (path) => [basename(path), (await Deno.stat(path)).size]));
    found.push({ layout, paths, fingerprint: hashOf(sizes) });
  }
  if (found.length < 2) return found[0];
  throw new Problem(
    `There are several forms of ImageNet's ${split} split in ${root} (${
      found.map(({ layout }) => layout).join(", ")
    }): ` +
      "choose one with data.format",
  );
}

/** What to do where `findFiles` finds nothing. */
export function missing({ root, format, size }: Whereabouts, split: "train" | "test"): Problem {
  const [name] = splitNames[split];
  const forms = {
    folder: `${name}/n01440764/*.JPEG, a folder for each class`,
    parquet: `${name}*-00000-of-*.parquet`,
    webdataset: `*${name}*.tar, WebDataset shards`,
    npz: `${split === "train" ? "train_data_batch_*.npz" : "val_data.npz"}, Chrabaszcz's arrays of ${size}x${size}`,
  };
  const wanted = format === "auto" ? Object.values(forms) : [forms[format]];
  return new Problem(
    `Cannot find ImageNet's ${split} split in ${root}: expected ${wanted.join("; or ")}. Put it there (it comes from ` +
      "https://image-net.org after a registration), or name its folder: data.root=FOLDER",
  );
}

/**
 * Opens what `findFiles` found: reads names, labels and places, and no image.
 *
 * @throws {Problem} naming the file that cannot be used
 */
export async function openSource(found: FoundFiles, where: Whereabouts): Promise<ImageSource> {
  const { layout, paths, folders } = found;
  if (layout === "folder") return folderSource(paths[0]!, folders!);
  return await withProgress(`indexing ${where.root}`, paths.length, "files", async (onProgress) => {
    if (layout === "parquet") return await parquetSource(paths, onProgress);
    if (layout === "webdataset") return await tarSource(paths, onProgress);
    return await npzSource(paths, await classMapOf(where), 3 * where.size ** 2, onProgress);
  });
}

async function classMapOf({ root, classMap }: Whereabouts): Promise<string> {
  const path = classMap ?? join(root, "map_clsloc.txt");
  if (await exists(path)) return path;
  throw new Problem(
    `Cannot find ${path}: Chrabaszcz's labels have an order of their own, which map_clsloc.txt translates to the ` +
      "standard one; take it from https://github.com/PatrykChrabaszcz/Imagenet32_Scripts and put it there, or name it: " +
      "data.classMap=FILE",
  );
}

async function classFoldersUnder(root: string, split: "train" | "test"): Promise<FoundFiles | undefined> {
  for (const name of splitNames[split]) {
    const folder = join(root, name);
    if (!await exists(folder)) continue;
    const folders = await listClassFolders(folder);
    if (folders.files.flat().length === 0) continue;
    return { layout: "folder", paths: [folder], folders, fingerprint: hashOf(folders.files.flat().join("\n")) };
  }
  return undefined;
}

/** The files in `root` and in its folders, sorted; class folders lie deeper. */
async function filesUnder(root: string): Promise<string[]> {
  const paths: string[] = [], folders = [root];
  for (const folder of folders) {
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      const target = entry.isSymlink ? await Deno.stat(path).catch(() => entry) : entry;
      if (target.isFile) paths.push(path);
      else if (target.isDirectory && folder === root) folders.push(path);
    }
  }
  return paths.sort();
}

/** Whether the file's name, or where it says nothing its folder's below `root`, has the split's name as a word. */
function isOf(split: "train" | "test", root: string, path: string): boolean {
  const names = [basename(path), relative(root, dirname(path))];
  const splits = names.map((name) => splitsIn(name)).find((found) => found.length > 0);
  return splits?.includes(split) ?? false;
}

function splitsIn(name: string): ("train" | "test")[] {
  const words = new Set(name.toLowerCase().split(/[^a-z]+/));
  return (["train", "test"] as const).filter((split) => splitNames[split].some((word) => words.has(word)));
}
