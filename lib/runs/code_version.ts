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
  /^core\/(?!(rng|box_muller)\.ts)/, // files, hashes, the terminal
  /^engine\/(compiled|install|locate|releases|device|open|types)\.ts/, // finds and names the engine, keeps what it compiled
  /^(models\/(flows|velocities|autoencoders)|couplings\/mod)\.ts/, // registries: the member that runs is an entry
  /^(recipes|results)\//, // what a recipe says is in the key; names and digits of results are given when all is measured
  /^runs\/(stages|gather)\.ts/, // keep, and look up, what stages made
];
/** Packages that compute no number of a stage: checks of forms, arguments, files. */
const passivePackages = /^(zod$|node:|@std\/)/;
const root = new URL("../", import.meta.url);

/**
 * A hash of the code that a stage's result depends on, comments and layout left
 * out: the files that `entries` import, theirs in turn, and so on, and the
 * versions of the packages that these import. It is part of
 * every stage's key, so that a change of the code makes a stage run again, and a
 * change elsewhere, such as a new coupling, does not. The code that prepares
 * data is left out: the digest of the images stands for it.
 */
export async function codeVersion(entries: readonly Entry[]): Promise<string> {
  return hashOf(await codeFiles(entries)).slice(0, 16);
}

/** The files themselves, sorted, path below lib/ and code, and the packages among them, name and version. */
export async function codeFiles(entries: readonly Entry[]): Promise<(readonly [path: string, code: string])[]> {
  const files = new Map<string, string>();
  const visit = async (path: string): Promise<void> => {
    if (files.has(path) || passive.some((those) => those.test(path))) return;
    files.set(path, "");
    const { code, imports, packages } = await sourceOf(path);
    files.set(path, code);
    for (const [name, version] of packages) files.set(name, version);
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

/** What a file imports for use at run time, files below lib/ and packages; types leave no code behind. */
async function importsOf(source: string, path: string): Promise<Pick<Source, "imports" | "packages">> {
  const names = [...source.matchAll(/^(?:import|export)\s(?!type\b)[^"';]*?from\s+"([^"]+)"/gm)].map(([, name]) =>
    name!
  );
  const packages = names.filter((name) => !name.startsWith(".") && !passivePackages.test(name));
  return {
    imports: names.filter((name) => name.startsWith(".")).map((name) => relative(name, path)),
    packages: await Promise.all(packages.map(async (name) => [name, await versionOf(name)] as const)),
  };
}

/** What deno.json says of a package, and of those that belong to it: TensorFlow.js's engines have names of their own. */
async function versionOf(name: string): Promise<string> {
  const { imports } = JSON.parse(await readSource("../deno.json")) as { imports: Readonly<Record<string, string>> };
  return Object.entries(imports).filter(([key]) => key.startsWith(name)).map(([, version]) => version).join(" ");
}

const relative = (name: string, from: string) => new URL(name, new URL(from, root)).href.slice(root.href.length);
const readSource = (path: string) => Deno.readTextFile(new URL(path, root));

interface Source {
  readonly code: string;
  readonly imports: readonly string[];
  readonly packages: readonly (readonly [name: string, version: string])[];
}
const sources = new Map<string, Promise<Source>>();
function sourceOf(path: string): Promise<Source> {
  const read = async () => {
    const source = await readSource(path);
    return { code: withoutComments(source), ...await importsOf(source, path) };
  };
  let source = sources.get(path);
  if (!source) sources.set(path, source = read());
  return source;
}
