import { type Pair, type Scalar, type YAMLMap } from "yaml";

/** A member of a YAML map as it stands in its file. */
export interface Excerpt {
  /** From 1. */
  readonly line: number;
  /** The key and all that belongs to it, with the key's indentation taken off every line. */
  readonly text: string;
}

/** The member at `path` as it is written; `undefined` when it is not, or when `text` is not YAML. */
export async function excerpt(text: string, path: readonly string[]): Promise<Excerpt | undefined> {
  const { isMap, isScalar, LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const tree = parseDocument(text, { lineCounter: lines, uniqueKeys: false });
  const parent = path.length === 1 ? tree.contents : tree.getIn(path.slice(0, -1), true);
  if (tree.errors.length > 0 || !isMap(parent)) return undefined;
  const pair = (parent as YAMLMap).items.find(({ key }: Pair) => isScalar(key) && String(key.value) === path.at(-1));
  const start = (pair?.key as Scalar | undefined)?.range?.[0];
  if (start === undefined) return undefined;
  const end = (pair!.value as Scalar | null)?.range?.[1] ?? start;
  const { line, col } = lines.linePos(start);
  const indentation = new RegExp(`^ {0,${col - 1}}`, "gm");
  return { line, text: text.slice(start, end).trimEnd().replace(indentation, "") };
}
