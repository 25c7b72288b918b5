import { statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { writeFileAtomic } from "../core/files.ts";
import { hashFile } from "../core/hash.ts";
import { Problem } from "../core/problem.ts";
import { type Progress, progress, say as sayOnStderr } from "../core/terminal.ts";
import { nvidiaGpus } from "./device.ts";
import { cachedLibrary, cacheFolder, installedIn, type Library, MARKER, type Marker, readMarker } from "./locate.ts";
import { type FetchWheel, fetchWithPip, unpackWheel } from "./python.ts";
import { type Flavour, type Release, releaseFor, releaseName, type Wheel } from "./releases.ts";

/** How to install; every member has its default. */
export interface InstallOptions {
  /** `gpu` where an NVIDIA driver answers and a release for it exists, else `cpu`. */
  readonly flavour?: Flavour;
  /** The pinned release of the flavour for this machine. */
  readonly release?: Release;
  readonly cache?: string;
  /** The person's own pip. */
  readonly fetchWheel?: FetchWheel;
  /** Where a line for the person goes; standard error. */
  readonly say?: (line: string) => void;
  /** Show no progress and say nothing. */
  readonly quiet?: boolean;
}

/**
 * Installs libtensorflow into the cache folder: fetches the pinned wheels,
 * checks their hashes, unpacks the libraries beside their final place and
 * renames them there. Of runs that race one downloads and the others wait for
 * it; a run that is killed leaves nothing that counts as installed, and the
 * next one clears it away. Returns what is already there, if it is whole.
 *
 * @throws {Problem} one sentence: no Python, pip, network, disk space, write permission, or wheel; a wrong hash.
 */
export async function install(options: InstallOptions = {}): Promise<Library> {
  const { quiet = false, fetchWheel = fetchWithPip } = options;
  const say = options.say ?? ((line) => sayOnStderr(line, { quiet }));
  const release = options.release ?? releaseFor(options.flavour ?? await bestFlavour());
  const cache = options.cache ?? cacheFolder();
  const target = join(cache, releaseName(release));
  const there = await cachedLibrary(target);
  if (there) return there;
  try {
    await Deno.mkdir(cache, { recursive: true });
    using lock = await lockFile(cache, releaseName(release));
    if (!lock.held) {
      say(`Another run is installing libtensorflow ${release.version} (${release.flavour}); waiting for it`);
      await lock.wait();
    }
    const theirs = await cachedLibrary(target);
    if (theirs) return theirs;
    if (lock.exclusive) await removeUnfinished(cache, releaseName(release));
    await checkSpace(cache, release);
    await installInto(target, release, fetchWheel, quiet);
    say(`Installed libtensorflow ${release.version} (${release.flavour}) in ${target}`);
  } catch (error) {
    throw asProblem(error, cache);
  }
  const library = await cachedLibrary(target);
  if (!library) throw new Problem(`Cannot install libtensorflow: ${target} is not whole; remove it and try again`);
  return library;
}

/**
 * Removes every libtensorflow from the cache folder, whole or not; returns what was there.
 *
 * @throws {Problem} while a run is installing one.
 */
export async function uninstall(cache: string): Promise<{ name: string; bytes: number }[]> {
  const there = await installedIn(cache);
  for (const { name } of there) {
    using lock = await lockFile(cache, name);
    if (!lock.held) throw new Problem(`Cannot remove ${name}: a run is installing it; wait for it and try again`);
    // The marker goes first: what a removal that is killed leaves does not count as installed.
    await Deno.remove(join(cache, name, MARKER)).catch(() => {});
    await Deno.remove(join(cache, name), { recursive: true });
    await removeUnfinished(cache, name);
  }
  return there;
}

/** The files of an installed folder whose SHA-256 is no longer the one written down when they were unpacked. */
export async function alteredFiles(folder: string): Promise<string[]> {
  const altered = [];
  for (const [path, { sha256 }] of Object.entries((await readMarker(folder))?.files ?? {})) {
    if (await hashFile(join(folder, path)) !== sha256) altered.push(path);
  }
  return altered;
}

/** `gpu` where an NVIDIA driver answers on a platform that has such a release. */
export async function bestFlavour(): Promise<Flavour> {
  const possible = Deno.build.os === "linux" && Deno.build.arch === "x86_64";
  return possible && (await nvidiaGpus()).length > 0 ? "gpu" : "cpu";
}

async function installInto(target: string, release: Release, fetchWheel: FetchWheel, quiet: boolean): Promise<void> {
  const partial = join(dirname(target), `.${basename(target)}.partial-${crypto.randomUUID().slice(0, 8)}`);
  const megabytesInAll = Math.round((release.downloadBytes + release.unpackedBytes) / 1e6);
  const bar = progress(`libtensorflow ${release.version}`, megabytesInAll, "MB", { quiet });
  try {
    await Deno.mkdir(partial);
    const files = await fetchAndUnpack(release, partial, fetchWheel, bar);
    const wheels = Object.fromEntries(
      release.wheels.map((wheel) => [`${wheel.project} ${wheel.version}`, wheel.sha256]),
    );
    const marker: Marker = { version: release.version, flavour: release.flavour, wheels, files };
    await writeFileAtomic(join(partial, MARKER), JSON.stringify(marker, null, 2) + "\n");
    await publish(partial, target);
  } finally {
    bar.stop();
    await Deno.remove(partial, { recursive: true }).catch(() => {});
  }
}

/** Renames `partial` to `target`, or keeps the whole one that somebody else put there. */
async function publish(partial: string, target: string): Promise<void> {
  if (await cachedLibrary(target)) return;
  await Deno.remove(target, { recursive: true }).catch(() => {}); // there, but not whole
  try {
    await Deno.rename(partial, target);
  } catch (error) {
    if (!await cachedLibrary(target)) throw error;
  }
}

async function fetchAndUnpack(
  release: Release,
  partial: string,
  fetchWheel: FetchWheel,
  bar: Progress,
): Promise<Marker["files"]> {
  const files: Record<string, { bytes: number; sha256: string }> = {};
  let done = 0;
  for (const [index, wheel] of release.wheels.entries()) {
    const show = (doing: string) => (bytes: number) => bar.update(Math.round((done + bytes) / 1e6), doing);
    const folder = join(partial, `wheel-${index}`);
    await Deno.mkdir(folder);
    await fetchWheel(wheel, folder, show(`fetching ${wheel.project}`));
    const path = await onlyWheel(folder, wheel);
    await checkHash(path, wheel);
    done += (await Deno.stat(path)).size;
    const unpacked = await unpackWheel(path, wheel.members, partial, show(`unpacking ${wheel.project}`));
    for (const file of Object.values(unpacked)) done += file.bytes;
    Object.assign(files, unpacked);
    show(`unpacked ${wheel.project}`)(0);
    await Deno.remove(folder, { recursive: true });
  }
  return files;
}

async function onlyWheel(folder: string, wheel: Wheel): Promise<string> {
  for await (const entry of Deno.readDir(folder)) {
    if (entry.name.endsWith(".whl")) return join(folder, entry.name);
  }
  throw new Problem(`Cannot fetch ${wheel.project} ${wheel.version}: nothing came`);
}

async function checkHash(path: string, wheel: Wheel): Promise<void> {
  const found = await hashFile(path);
  if (found === wheel.sha256) return;
  throw new Problem(
    `Cannot install libtensorflow: ${wheel.project} ${wheel.version} has SHA-256 ${found.slice(0, 12)}…, ` +
      `expected the pinned ${wheel.sha256.slice(0, 12)}…; what was downloaded is not what was published`,
  );
}

interface InstallLock extends Disposable {
  /** Nobody else holds it: either we do, or this file system has no locks. */
  readonly held: boolean;
  /** We do hold it. */
  readonly exclusive: boolean;
  wait(): Promise<void>;
}

/** The lock of one release; the system frees it when the process ends, however it ends. */
async function lockFile(cache: string, name: string): Promise<InstallLock> {
  const file = await Deno.open(join(cache, `.${name}.lock`), { read: true, write: true, create: true });
  // Some cluster file systems have no locks; racing runs then download twice, and the rename still decides.
  const taken = await file.tryLock(true).catch(() => undefined);
  return {
    held: taken !== false,
    exclusive: taken !== undefined,
    wait: () => file.lock(true),
    [Symbol.dispose]: () => file.close(),
  };
}

/** With the lock held nobody else is at work: what is there was left by a run that was killed. */
async function removeUnfinished(cache: string, name: string): Promise<void> {
  for await (const entry of Deno.readDir(cache)) {
    if (entry.name.startsWith(`.${name}.partial-`)) await Deno.remove(join(cache, entry.name), { recursive: true });
  }
}

async function checkSpace(cache: string, release: Release): Promise<void> {
  const needed = release.downloadBytes + release.unpackedBytes;
  const { bavail, bsize } = await statfs(cache);
  const free = bavail * bsize;
  if (free >= needed) return;
  throw new Problem(
    `Cannot install libtensorflow: ${cache} has ${megabytes(free)} free, expected ${megabytes(needed)}; ` +
      "free some space, or set XDG_CACHE_HOME to a folder on a larger disk",
    { exitCode: 74 },
  );
}

/** For example `274 MB`. */
export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function asProblem(error: unknown, cache: string): Problem {
  if (error instanceof Problem) return error;
  const message = error instanceof Error ? error.message.split("\n")[0]! : String(error);
  const reason = error instanceof Deno.errors.PermissionDenied || /Read-only|os error 30/.test(message)
    ? "it may not be written to; set XDG_CACHE_HOME to a folder that may"
    : /No space left|os error 28/.test(message)
    ? "the disk is full"
    : message;
  return new Problem(`Cannot install libtensorflow into ${cache}: ${reason}`, { cause: error, exitCode: 74 });
}
