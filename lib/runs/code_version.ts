import { hashOf } from "../core/hash.ts";

/** Registries, and the file of the member that a recipe's `kind` names. */
const registries = {
  coupling: "couplings/mod.ts",
  flow: "models/flows.ts",
  autoencoder: "models/autoencoders.ts",
  velocity: "models/velocities.ts",
} as const;

/** A file below lib/, or a member of a registry. */
export type Entry = string | { readonly [Registry in keyof typeof registries]?: string };

/** The code that a trained model depends on besides the model itself. */
export const trainingEntries = ["training/trainer.ts", "training/loop.ts", "training/schedule.ts"] as const;

/** Files that no number depends on: installing, finding and naming the engine, keeping what it compiled; folders whose result has a digest. */
const passive = /^(data\/|core\/(?!rng\.ts)|engine\/(compiled|install|locate|releases|device|open|types)\.ts)/;
const root = new URL("../", import.meta.url);

/**
 * A hash of the code that a stage's result depends on, comments and layout left
 * out: the files that `entries` import, theirs in turn, and so on. It is part of
 * every stage's key, so that a change of the code makes a stage run again, and a
 * change elsewhere, such as a new coupling, does not. The data's own code is
 * left out: the digest of the prepared images stands for it.
 */
export async function codeVersion(entries: readonly Entry[]): Promise<string> {
  const files = new Map<string, string>();
  const visit = async (path: string): Promise<void> => {
    if (files.has(path) || passive.test(path)) return;
    files.set(path, "");
    const source = await sourceOf(path);
    files.set(path, withoutComments(source));
    await Promise.all(importsOf(source, path).map(visit));
  };
  await Promise.all((await Promise.all(entries.map(fileOf))).map(visit));
  return hashOf([...files].sort(([a], [b]) => a < b ? -1 : 1)).slice(0, 16);
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
  const line = new RegExp(`export \\{[^}]*\\b${kind}\\b[^}]*\\} from "([^"]+)"`).exec(await sourceOf(path));
  if (!line) throw new TypeError(`Cannot find the file of "${kind}" among the export lines of lib/${path}`);
  return relative(line[1]!, path);
}

/** What a file imports for use at run time; types leave no code behind. */
function importsOf(source: string, path: string): string[] {
  const lines = source.matchAll(/^(?:import|export)\s(?!type\b)[^"';]*?from\s+"(\.[^"]+)"/gm);
  return [...lines].map(([, name]) => relative(name!, path));
}

const relative = (name: string, from: string) => new URL(name, new URL(from, root)).href.slice(root.href.length);
const sources = new Map<string, Promise<string>>();
function sourceOf(path: string): Promise<string> {
  let source = sources.get(path);
  if (!source) sources.set(path, source = Deno.readTextFile(new URL(path, root)));
  return source;
}
