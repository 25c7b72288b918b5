import { dirname, join, relative, resolve } from "node:path";
import { Problem } from "./problem.ts";

/**
 * Writes a whole file or leaves the old one untouched: the bytes go to a new
 * file in the same folder, which is synced, renamed over `path`, and the
 * folder synced, so that a crash or a full disk at any moment leaves either the
 * old content or the new, never a mixture. Makes the folder when it is missing,
 * and removes what writes of killed processes left in it.
 *
 * @throws {Problem} exit code 74, naming `path`, when the disk or the folder refuses.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const folder = dirname(path);
  const temporary = temporaryFor(path);
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  try {
    await Deno.mkdir(folder, { recursive: true });
    await tidy(folder);
    await writeAndSync(temporary, bytes);
    await Deno.rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw fileFault("write", path, error);
  }
}

/**
 * Reads a file as UTF-8 text.
 *
 * @throws {Problem} when it is missing or is not UTF-8 (exit code 2), or cannot be read (74).
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Problem(`Cannot read ${path}: it is not UTF-8 text`, { cause: error });
  }
}

/**
 * Reads a file as bytes.
 *
 * @throws {Problem} when it is missing (exit code 2) or cannot be read (74).
 */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw fileFault("read", path, error);
  }
}

/** Whether `path` is `folder` or lies below it, however either is written. */
export function isWithin(path: string, folder: string): boolean {
  return !/^\.\.([/\\]|$)/.test(relative(resolve(folder), resolve(path)));
}

/**
 * Makes `folder` where it is missing, and sees that a file can be written there: better known before a long run than after.
 *
 * @throws {Problem} exit code 74, naming it.
 */
export async function requireWritable(folder: string): Promise<void> {
  // Named as what is written for a moment, so that it is nobody's, and goes with the rest where a process is killed.
  const probe = temporaryFor(join(folder, "probe"));
  try {
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(probe, "can be written");
    await Deno.remove(probe);
  } catch (error) {
    throw fileFault("write", folder, error);
  }
}

/** Whether something is at `path`, whatever it is. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** Removes the file at `path`, if there is one. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw fileFault("write", path, error);
  }
}

/**
 * Moves a file that is written and synced to its final name, replacing what was there.
 *
 * @throws {Problem} exit code 74 when the folder refuses.
 */
export async function renameAtomic(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
    await syncFolder(dirname(to));
  } catch (error) {
    throw fileFault("write", to, error);
  }
}

/** An error of the file system as one sentence; exit code 2 for a file to read that is missing, else 74. */
export function fileFault(verb: "read" | "write", path: string, error: unknown): Problem {
  const exitCode = verb === "read" && error instanceof Deno.errors.NotFound ? 2 : 74;
  return new Problem(`Cannot ${verb} ${path}: ${reason(error)}`, { cause: error, exitCode });
}

const temporaryFor = (path: string) => `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
const temporaryName = /\.[0-9a-f]{8}\.tmp$/;
const tidied = new Set<string>();

/** Once a process and folder; what is younger than an hour another process may be writing. */
async function tidy(folder: string): Promise<void> {
  const place = resolve(folder);
  if (tidied.has(place)) return;
  tidied.add(place);
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      if (!isFile || !temporaryName.test(name)) continue;
      const path = join(folder, name), { mtime } = await Deno.stat(path);
      if (mtime && Date.now() - mtime.getTime() > 3_600_000) await Deno.remove(path);
    }
  } catch {
    // What cannot be listed or removed is in nobody's way, or will be said when the file itself is written.
  }
}

async function writeAndSync(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  // A nearly full disk takes fewer bytes than offered and reports no error.
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
  await file.sync();
}

async function syncFolder(folder: string): Promise<void> {
  if (Deno.build.os === "windows") return; // folders cannot be opened there
  using handle = await Deno.open(folder, { read: true });
  await handle.sync();
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "it does not exist";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) return "this task was not given the permission";
  if (error instanceof Error) {
    if (/ENOSPC|os error 28|No space left/.test(error.message)) {
      return "the disk is full; free some space and run again";
    }
    if (/EROFS|os error 30|Read-only/.test(error.message)) return "the disk is read-only";
    return error.message.split("\n")[0]!.replace(/: (open|rename|mkdir|writefile|readfile) .*$/i, "");
  }
  return String(error);
}
