import { isAbsolute, join } from "node:path";
import { requireWritable } from "../core/files.ts";
import { hashOf } from "../core/hash.ts";
import { Problem } from "../core/problem.ts";
import { cpu, cpuFlags } from "./device.ts";
import { addFlag, setDefault, xlaOptions } from "./flags.ts";
import { cacheFolder, type Library } from "./locate.ts";
import { varint } from "./protobuf.ts";

/** What the folder of one machine may hold; beyond it the oldest files go. */
const mostBytes = 256 * 2 ** 20;

/** The folder of compiled functions in the cache folder. */
export const compiledFolder = "compiled";

/**
 * Lets XLA keep what it compiles from run to run: its compiled functions give
 * the same bytes loaded as compiled. A folder for each kind of processor,
 * number of threads and version, since code of another must not be run. To be
 * called before TensorFlow is loaded. `NFM_COMPILED` names another folder, or
 * is `none`; nothing is kept with a GPU, nor where nothing can be written.
 */
export async function keepCompiled(library: Library): Promise<void> {
  const asked = Deno.env.get("NFM_COMPILED");
  if (asked === "none" || library.flavour === "gpu") return;
  if (asked !== undefined && !isAbsolute(asked)) {
    throw new Problem(`NFM_COMPILED is ${asked}: expected the absolute path of a folder, or none`);
  }
  const { name, threads } = cpu();
  const given = ["XLA_FLAGS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"].map((key) => Deno.env.get(key) ?? "");
  const { version, digests } = library;
  const machine = hashOf({ version, digests, name, threads, flags: await cpuFlags(), given, xlaOptions }).slice(0, 16);
  const folder = join(asked ?? join(cacheFolder(), compiledFolder), machine);
  try {
    await requireWritable(folder);
    await tidy(folder);
  } catch {
    return;
  }
  addFlag("TF_XLA_FLAGS", "tf_xla_persistent_cache_directory", folder);
  // It says of every function that it loads what only code of another machine would be worth saying.
  setDefault("TF_CPP_MIN_LOG_LEVEL", "3");
}

/** What to say of an error of a compiled function: where it could not be kept, that and what to do. */
export function explained(error: unknown): unknown {
  const folder = /persistent_cache_directory=(\S+)/.exec(Deno.env.get("TF_XLA_FLAGS") ?? "")?.[1];
  if (!(error instanceof Error) || folder === undefined || !error.message.includes(folder)) return error;
  const reason = error.message.split("; ").at(-1);
  return new Problem(
    `Cannot keep a compiled function in ${folder}: ${reason}; make room there, or set NFM_COMPILED=none to keep none`,
    { cause: error, exitCode: 74 },
  );
}

/** Removes damaged files, which would end a run, and the oldest of too many. */
async function tidy(folder: string): Promise<void> {
  const files = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile) continue;
    const path = join(folder, name), { size, mtime } = await Deno.stat(path);
    const made = mtime?.getTime() ?? 0, unfinished = !name.endsWith(".pb");
    const old = Date.now() - made > 3_600_000; // another process may be writing the others
    if (unfinished ? old : !await isWhole(path, size)) await Deno.remove(path).catch(() => {});
    else files.push({ path, size, made });
  }
  files.sort((a, b) => b.made - a.made);
  let bytes = 0;
  for (const { path, size } of files) {
    bytes += size;
    if (bytes > mostBytes) await Deno.remove(path).catch(() => {});
  }
}

/** Whether a protocol buffer message ends where its file does: of its fields only the lengths are read. */
async function isWhole(path: string, size: number): Promise<boolean> {
  using file = await Deno.open(path, { read: true });
  const head = new Uint8Array(16);
  let at = 0, fields = 0;
  while (at < size) {
    await file.seek(at, Deno.SeekMode.Start);
    const read = await file.read(head) ?? 0;
    const [key, afterKey] = varint(head, 0), [value, afterValue] = varint(head, afterKey);
    if (afterValue > read) return false;
    const wireType = key % 8;
    if (wireType !== 0 && wireType !== 2) return false;
    at += afterValue + (wireType === 2 ? value : 0);
    fields++;
  }
  return at === size && fields > 1;
}
