import { parse } from "@std/yaml";
import type { Node } from "yaml";
import { readText } from "../core/files.ts";
import { Problem } from "../core/problem.ts";
import { isMapping, type Mapping, type Path } from "./mapping.ts";

/** A recipe file as read: plain maps, lists and scalars. */
export interface RecipeDocument {
  /** As the person at the terminal would write it. */
  readonly file: string;
  readonly text: string;
  readonly value: Mapping;
}

const largestBytes = 64 * 1024;
const deepest = 32;

/**
 * Reads a recipe file. The limits keep a hostile or damaged file from costing
 * more than a moment: 64 KiB, 32 levels, no aliases, no tags.
 *
 * @throws {Problem} one line with file, line and column.
 */
export async function readDocument(file: string): Promise<RecipeDocument> {
  const info = await Deno.stat(file).catch(() => undefined);
  if (info && info.size > largestBytes) throw tooLarge(file, info.size);
  return parseRecipeText(file, await readText(file));
}

/** The same for text that is already here; `file` is only its name in messages. */
export async function parseRecipeText(file: string, text: string): Promise<RecipeDocument> {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > largestBytes) throw tooLarge(file, bytes);
  const value = parseYaml(file, text);
  if (value === null || value === undefined) throw new Problem(`${file}: the file is empty; expected a recipe`);
  if (!isMapping(value)) throw new Problem(`${file}:1:1: expected a map of keys, got ${describe(value)}`);
  await refuseAliases(file, text);
  refuseDepth(file, value);
  return { file, text, value };
}

/** `file:line:column` of the node at `path`, or of its key; the deepest parent that is there when it is not. */
export async function locate(document: RecipeDocument, path: Path, at: "key" | "value"): Promise<string> {
  const { isMap, isSeq, LineCounter, parseDocument } = await loadTreeParser();
  const lines = new LineCounter();
  const tree = parseDocument(document.text, { lineCounter: lines, uniqueKeys: false });
  let node = tree.contents as Node | null;
  let start = node?.range?.[0] ?? 0;
  for (const [depth, step] of path.entries()) {
    const child = await stepInto(node, step);
    if (!child) break;
    const atKey = at === "key" && depth === path.length - 1;
    const block = (isMap(child.value) || isSeq(child.value)) && !child.value.flow;
    start = (atKey || block ? child.key : child.value ?? child.key)?.range?.[0] ?? child.value?.range?.[0] ?? start;
    node = child.value;
  }
  const { line, col } = lines.linePos(start);
  return `${document.file}:${line}:${col}`;
}

/** A value in a message: short, quoted where it is text. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  if (typeof value === "object") return "a map";
  if (typeof value === "number" || typeof value === "boolean") return `${value}`;
  const text = JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 37)}…"` : text;
}

/** A second parser, which knows where things stand; loaded only when there is something to report. */
const loadTreeParser = () => import("yaml");

async function stepInto(node: Node | null, step: PropertyKey): Promise<{ key?: Node; value: Node | null } | undefined> {
  const { isMap, isScalar, isSeq } = await loadTreeParser();
  if (isSeq(node)) {
    const value = node.items[Number(step)] as Node | undefined;
    return value && { value };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
  return pair && { key: pair.key as Node, value: pair.value as Node | null };
}

function parseYaml(file: string, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof RangeError) throw new Problem(`${file}: nested more than ${deepest} levels deep`);
    if (!(error instanceof Error)) throw error;
    const [, reason, line, column] = error.message.match(/^(.*) at line (\d+), column (\d+)/s) ?? [];
    if (reason === undefined) throw new Problem(`${file}: not YAML: ${error.message.split("\n")[0]}`, { cause: error });
    throw new Problem(`${file}:${line}:${column}: not YAML: ${plainReason(reason)}`, { cause: error });
  }
}

/** The parser's reason without its preamble: `Cannot store mapping pair: duplicated key` is `duplicated key`. */
function plainReason(reason: string): string {
  return reason.replace(/\s+/g, " ").replace(/^(Cannot [^:]*|Found more than 1 document in the stream): /, "");
}

/** Anchors and aliases share nodes: a few lines of them can stand for gigabytes. */
async function refuseAliases(file: string, text: string): Promise<void> {
  if (!/[&*]/.test(text.replace(/^\s*#.*$/gm, ""))) return;
  const { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } = await loadTreeParser();
  const lines = new LineCounter();
  visit(parseDocument(text, { lineCounter: lines, uniqueKeys: false }), (_, node) => {
    const marked = isAlias(node) || (isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined;
    if (!marked) return;
    const { line, col } = lines.linePos((node as Node).range![0]);
    throw new Problem(`${file}:${line}:${col}: recipes have no anchors and aliases; write the value out`);
  });
}

function refuseDepth(file: string, value: unknown, depth = 0): void {
  if (typeof value !== "object" || value === null) return;
  if (depth === deepest) throw new Problem(`${file}: nested more than ${deepest} levels deep`);
  for (const member of Object.values(value)) refuseDepth(file, member, depth + 1);
}

function tooLarge(file: string, bytes: number): Problem {
  return new Problem(`${file}: ${bytes} bytes, expected at most ${largestBytes}; this is not a recipe`);
}
