import { basename, dirname, isAbsolute, join } from "node:path";
import { exists } from "../core/files.ts";
import { Problem } from "../core/problem.ts";
import { nvidiaGpus } from "./device.ts";
import type { Flavour } from "./releases.ts";

/** A libtensorflow on this machine, not loaded yet. */
export interface Library {
  /** The folder that holds the two libraries. */
  readonly folder: string;
  /** Path of libtensorflow_framework, to be loaded first. */
  readonly framework: string;
  /** Path of libtensorflow_cc (or of libtensorflow, the C API alone). */
  readonly cc: string;
  /** As its files say; `unknown` where they do not. `TF_Version()` has the last word. */
  readonly version: string;
  readonly flavour: Flavour;
  /** Who put it there. */
  readonly origin: "NFM_LIBTENSORFLOW" | "npm package" | "cache";
  /** SHA-256 by file name, where an installer wrote them down. */
  readonly digests: Readonly<Record<string, string>>;
}

/** Where to look; every place has its default. */
export interface Places {
  /** A folder or a file that the person named. */
  readonly explicit?: string | undefined;
  /** `deps/lib` of the npm package, filled by its own installer where the person lets it run. */
  readonly npm?: string;
  readonly cache?: string;
}

/** `complete.json`: written last into an installed folder, so that its presence means that the rest is whole. */
export interface Marker {
  readonly version: string;
  readonly flavour: Flavour;
  readonly wheels: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

export const MARKER = "complete.json";

/**
 * The libtensorflow to use: an explicit path (`NFM_LIBTENSORFLOW`, a folder or a
 * file), the copy of the npm package's own installer, then the project's cache
 * (`gpu` first where there is an NVIDIA driver). Nothing is loaded or downloaded.
 *
 * @throws {Problem} when the explicit path holds none.
 */
export async function locate(places: Places = {}): Promise<Library | undefined> {
  const explicit = "explicit" in places ? places.explicit : Deno.env.get("NFM_LIBTENSORFLOW");
  if (explicit) return await explicitLibrary(explicit);
  const npm = places.npm ?? packageFolder();
  const packaged = await libraryIn(npm, "npm package", packageFlavour());
  if (packaged) return packaged;
  const cache = places.cache ?? cacheFolder();
  const found = (await installedIn(cache)).filter(({ whole }) => whole);
  if (found.some(({ name }) => name.endsWith("-gpu")) && (await nvidiaGpus()).length > 0) {
    found.sort((a, b) => Number(b.name.endsWith("-gpu")) - Number(a.name.endsWith("-gpu")));
  }
  return found[0] && await cachedLibrary(join(cache, found[0].name));
}

/**
 * The project's cache folder, shared by all checkouts: `nfm` in `$XDG_CACHE_HOME`, else in `~/.cache`.
 *
 * @throws {Problem} where neither variable names a folder.
 */
export function cacheFolder(): string {
  const cache = Deno.env.get("XDG_CACHE_HOME");
  if (cache && isAbsolute(cache)) return join(cache, "nfm");
  const home = Deno.env.get("HOME");
  if (home) return join(home, ".cache", "nfm");
  throw new Problem("Cannot tell where to keep libtensorflow: set HOME or XDG_CACHE_HOME to a folder", {
    exitCode: 74,
  });
}

/** The installed libtensorflows of a cache folder, newest version first, `cpu` before `gpu`; broken ones are not `whole`. */
export async function installedIn(cache: string): Promise<{ name: string; whole: boolean; bytes: number }[]> {
  const found = [];
  for (const name of await folderNames(cache)) {
    if (!/^libtensorflow-[\d.]+-(cpu|gpu)$/.test(name)) continue;
    const marker = await readMarker(join(cache, name));
    const bytes = Object.values(marker?.files ?? {}).reduce((sum, file) => sum + file.bytes, 0);
    found.push({ name, whole: marker !== undefined, bytes });
  }
  const version = (name: string) => name.split("-")[1]!.split(".").map((part) => part.padStart(6, "0")).join(".");
  return found.sort((a, b) => version(b.name).localeCompare(version(a.name)) || a.name.localeCompare(b.name));
}

/** The library that an install left in `folder`, if it is whole: the marker is there and every file has its size. */
export async function cachedLibrary(folder: string): Promise<Library | undefined> {
  const marker = await readMarker(folder);
  if (!marker) return undefined;
  const digests = Object.fromEntries(Object.entries(marker.files).map(([path, file]) => [basename(path), file.sha256]));
  const library = await libraryIn(join(folder, "tensorflow"), "cache", marker.flavour);
  return library && { ...library, version: marker.version, digests };
}

/** The marker of an installed folder, or nothing where it is missing or a file is missing or of another size. */
export async function readMarker(folder: string): Promise<Marker | undefined> {
  let marker: Marker;
  try {
    marker = JSON.parse(await Deno.readTextFile(join(folder, MARKER)));
    for (const [path, { bytes }] of Object.entries(marker.files)) {
      if ((await Deno.stat(join(folder, path))).size !== bytes) return undefined;
    }
  } catch {
    return undefined;
  }
  return marker;
}

async function explicitLibrary(path: string): Promise<Library> {
  const isFile = await Deno.stat(path).then((info) => info.isFile, () => false);
  const folders = isFile ? [dirname(path)] : [path, join(path, "tensorflow"), join(path, "lib")];
  for (const folder of folders) {
    const flavour = await exists(join(folder, "..", "nvidia")) ? "gpu" : "cpu";
    const library = await libraryIn(folder, "NFM_LIBTENSORFLOW", flavour, isFile ? path : undefined);
    if (library) return library;
  }
  const [framework, cc] = fileNames();
  throw new Problem(
    `NFM_LIBTENSORFLOW is ${path}, where there is no libtensorflow: expected a folder with ${framework[0]} and ${
      cc[0]
    }`,
  );
}

async function libraryIn(
  folder: string,
  origin: Library["origin"],
  flavour: Flavour,
  ccFile?: string,
): Promise<Library | undefined> {
  const [frameworks, ccs] = fileNames();
  const framework = await firstOf(folder, frameworks);
  const cc = ccFile ?? await firstOf(folder, ccs);
  if (!framework || !cc) return undefined;
  const version = /\.(\d+\.\d+\.\d+)(\.dylib)?$/.exec(await Deno.realPath(framework))?.[1] ?? "unknown";
  return { folder, framework, cc, version, flavour, origin, digests: {} };
}

/** Names of the framework and of the C API: those of the wheels, then those of TensorFlow's own archives. */
function fileNames(): [frameworks: string[], ccs: string[]] {
  const named = (stem: string) =>
    Deno.build.os === "darwin" ? [`${stem}.2.dylib`, `${stem}.dylib`] : [`${stem}.so.2`, `${stem}.so`];
  return [named("libtensorflow_framework"), [...named("libtensorflow_cc"), ...named("libtensorflow")]];
}

async function firstOf(folder: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const path = join(folder, name);
    if (await Deno.stat(path).then((info) => info.isFile, () => false)) return path;
  }
}

function packageFolder(): string {
  return join(import.meta.dirname!, "../../node_modules/@tensorflow/tfjs-node-gpu/deps/lib");
}

/** The package's installer fetches a GPU build wherever there is one, driver or not. */
function packageFlavour(): Flavour {
  return Deno.build.os === "linux" && Deno.build.arch === "x86_64" ? "gpu" : "cpu";
}

async function folderNames(folder: string): Promise<string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name);
  } catch {
    return [];
  }
}
