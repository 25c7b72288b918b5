import { hashOf } from "../core/hash.ts";

/** Registries, and the file of the member that a recipe's `kind` names. */
const registries = {
  coupling: "couplings/mod.ts",
  flow: "models/flows.ts",
  autoencoder: "models/autoencoders.ts",
  velocity: "models/velocities.ts",
  reference: "models/references.ts",
} as const;

/** A file below lib/, or a member of a registry. */
export type Entry = string | { readonly [Registry in keyof typeof registries]?: string };

/** Files that imports are not followed into: no number depends on them, or a key has what does. */
const passive = [
  /^core\/(?!rng\.ts)/, // files, hashes, the terminal
  /^engine\/(compiled|install|locate|releases|device|open|types)\.ts/, // finds and names the engine, keeps what it compiled
  /^(models\/(flows|velocities|autoencoders)|couplings\/mod)\.ts/, // registries: the member that runs is an entry
  /^(recipes|results)\//, // what a recipe says is in the key; names and digits of results are given when all is measured
  /^runs\/(stages|gather)\.ts/, // keep, and look up, what stages made
];
const root = new URL("../", import.meta.url);

/**
 * A hash of the code that a stage's result depends on, comments and layout left
 * out: the files that `entries` import, theirs in turn, and so on. It is part of
 * every stage's key, so that a change of the code makes a stage run again, and a
 * change elsewhere, such as a new coupling, does not. The code that prepares
 * data is left out: the digest of the images stands for it.
 */
export async function codeVersion(entries: readonly Entry[]): Promise<string> {
  return hashOf(await codeFiles(entries)).slice(0, 16);
}

/** The files themselves, sorted: path below lib/ and code. */
export async function codeFiles(entries: readonly Entry[]): Promise<(readonly [path: string, code: string])[]> {
  const files = new Map<string, string>();
  const visit = async (path: string): Promise<void> => {
    if (files.has(path) || passive.some((those) => those.test(path))) return;
    files.set(path, "");
    const { code, imports } = await sourceOf(path);
    files.set(path, code);
    await Promise.all(imports.map(visit));
  };
  await Promise.all((await Promise.all(entries.map(fileOf))).map(visit));
  return [...files].sort(([a], [b]) => a < b ? -1 : 1);
}

/** Source text without comment lines and white space: good enough to tell whether the code changed. */
export function withoutComments(source: string): string {
  return source.split("\n")
    .filter((line) => !/^\s*(\/\/|\/\*|\*)/.test(line))
    .map((line) => line.replace(/\s\/\/ .*$/, ""))
    .join("").replace(/\s+/g, "");
}

async function fileOf(entry: Entry): Promise<string> {
  if (typeof entry === "string") return entry;
  const [[registry, kind]] = Object.entries(entry) as [[keyof typeof registries, string]];
  const path = registries[registry];
  const line = new RegExp(`export \\{[^}]*\\b${kind}\\b[^}]*\\} from "([^"]+)"`).exec(await readSource(path));
  if (!line) throw new TypeError(`Cannot find the file of "${kind}" among the export lines of lib/${path}`);
  return relative(line[1]!, path);
}

/** What a file imports for use at run time; types leave no code behind. */
function importsOf(source: string, path: string): string[] {
  const lines = source.matchAll(/^(?:import|export)\s(?!type\b)[^"';]*?from\s+"(\.[^"]+)"/gm);
  return [...lines].map(([, name]) => relative(name!, path));
}

const relative = (name: string, from: string) => new URL(name, new URL(from, root)).href.slice(root.href.length);
const readSource = (path: string) => Deno.readTextFile(new URL(path, root));

interface Source {
  readonly code: string;
  readonly imports: readonly string[];
}
const sources = new Map<string, Promise<Source>>();
function sourceOf(path: string): Promise<Source> {
  const read = async () => {
    const source = await readSource(path);
    return { code: withoutComments(source), imports: importsOf(source, path) };
  };
  let source = sources.get(path);
  if (!source) sources.set(path, source = read());
  return source;
}
