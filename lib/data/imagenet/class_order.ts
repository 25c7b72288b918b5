import { readText } from "../../core/files.ts";
import { hashOf } from "../../core/hash.ts";
import { Problem } from "../../core/problem.ts";

/**
 * The standard order of classes: the 1000 WordNet ids of ILSVRC 2012 sorted as
 * text, n01440764 (tench) is 0 and n15075141 (toilet tissue) is 999. Class
 * folders, the parquet shards and the tar shards in circulation use it.
 * Chrabaszcz's arrays do not: they count from 1 in the order of the challenge's
 * development kit, and `map_clsloc.txt` says which id each number is.
 */

/** SHA-256 of the 1000 sorted WordNet ids, a line each. */
const standardDigest = "385e0240499426c022b773be1ae4da780f057b89c9694c7f47199f62746b6edd";

/** The first WordNet id in a path, for example `n01440764` of `train/n01440764/n01440764_10026.JPEG`. */
export function wordNetId(path: string): string | undefined {
  return /(?<![A-Za-z0-9])n\d{8}(?!\d)/.exec(path)?.[0];
}

/** WordNet ids by class, as far as they were seen. */
export type SeenClasses = Map<number, string>;

/**
 * Adds to `seen` that class `label` is `id`.
 *
 * @returns what is wrong with it, as a clause: another id has the class, or the order is not that of sorted ids
 */
export function seeClass(seen: SeenClasses, label: number, id: string): string | undefined {
  const before = seen.get(label);
  if (before === id) return undefined;
  if (before !== undefined) return `is of class ${id} and labelled ${label}, which is ${before} elsewhere`;
  for (const [other, otherId] of seen) {
    if (label < other !== id < otherId) {
      return `is of class ${id} and labelled ${label}, while ${otherId} is ${other}: labels must follow the sorted ids`;
    }
  }
  seen.set(label, id);
  return undefined;
}

/**
 * Refuses 1000 classes that are not those of ILSVRC 2012. Fewer or more are a set of the user's own.
 *
 * @throws {Problem} naming what does not look like a class
 */
export function checkClassNames(where: string, names: readonly string[]): void {
  if (names.length !== 1000 || hashOf(names.join("\n")) === standardDigest) return;
  const odd = names.find((name) => wordNetId(name) !== name);
  throw new Problem(
    `Cannot use ${where}: its 1000 classes are not the 1000 WordNet ids of ILSVRC 2012` +
      `${odd === undefined ? "" : ` (${odd} is none)`}; put them in order`,
  );
}

/**
 * The standard class of each of Chrabaszcz's numbers, from a `map_clsloc.txt`
 * with lines such as `n02119789 1 kit_fox`: number n is class `order[n − 1]`.
 *
 * @throws {Problem} if the file is missing, or a line is no such line
 */
export async function readClassMap(path: string): Promise<Uint16Array> {
  const ids: string[] = [];
  const lines = (await readText(path)).split("\n");
  lines.forEach((line, i) => {
    if (line.trim() === "") return;
    const [, id, number] = /^(n\d{8})\s+(\d+)(\s|$)/.exec(line) ?? [];
    const at = Number(number) - 1;
    if (id === undefined || at < 0 || at >= lines.length || ids[at] !== undefined || ids.includes(id)) {
      throw new Problem(
        `${path}:${i + 1}: expected a WordNet id, its number and its name, each once, as in \`n02119789 1 kit_fox\`, ` +
          `got \`${line.slice(0, 60)}\``,
      );
    }
    ids[at] = id;
  });
  const missing = ids.length === 0 ? 0 : Array.from(ids).indexOf(undefined!);
  if (missing >= 0) {
    throw new Problem(`Cannot read ${path}: it has no line for class ${missing + 1}, expected every number from 1 on`);
  }
  const sorted = ids.toSorted();
  checkClassNames(path, sorted);
  return Uint16Array.from(ids, (id) => sorted.indexOf(id));
}
