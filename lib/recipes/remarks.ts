import type { RecipeDocument } from "./document.ts";
import { hasPath, type Path } from "./mapping.ts";
import { type Layer, valueOf } from "./resolve.ts";

/** What recipes say of their keys behind `#`, at the end of the line on which the key is written. */
export interface Remarks {
  /** Of the layer that wrote the value last; `undefined` where it wrote none, or no layer has the key. */
  of(path: Path): string | undefined;
}

/** The remarks of a recipe's layers, as a recipe's keys are numbered. */
export async function remarksOf(layers: readonly Layer[]): Promise<Remarks> {
  const lines = new Map<RecipeDocument, ReadonlyMap<string, string>>();
  for (const { document } of layers) if (!lines.has(document)) lines.set(document, await remarksIn(document));
  return {
    of(path) {
      const layer = layers.findLast((layer) => hasPath(valueOf(layer), path));
      return layer && lines.get(layer.document)!.get(nameOf([...layer.at, ...path]));
    },
  };
}

const nameOf = (path: Path) => JSON.stringify(path.map(String));

/** By the path in the document, as text. */
async function remarksIn({ text }: RecipeDocument): Promise<ReadonlyMap<string, string>> {
  const { isMap, isScalar, LineCounter, parseDocument } = await import("yaml");
  const counter = new LineCounter(), lines = text.split("\n"), remarks = new Map<string, string>();
  const visit = (node: unknown, path: readonly string[]): void => {
    if (!isMap(node)) return;
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue;
      const here = [...path, String(key.value)], { line } = counter.linePos(key.range![0]);
      const remark = /.*\s#\s*([^"]*)$/.exec(lines[line - 1]!)?.[1];
      if (remark) remarks.set(nameOf(here), remark);
      visit(value, here);
    }
  };
  visit(parseDocument(text, { lineCounter: counter, uniqueKeys: false }).contents, []);
  return remarks;
}
