import { configure, type FileEntry, Reader, ZipReader } from "@zip.js/zip.js";
import { Problem } from "../../core/problem.ts";
import { latin } from "./image_header.ts";
import { readAt } from "./tar.ts";

configure({ useWebWorkers: false });

/** An array in an npz file, its values read from front to back. */
export interface NpzArray {
  readonly shape: readonly number[];
  /** NumPy's name of the type, for example `|u1`. */
  readonly type: string;
  /** The next `count` bytes of its values. */
  read(count: number): Promise<Uint8Array>;
  /** Reads what is left, and with it verifies the archive's checksum. */
  finish(): Promise<void>;
  /** Gives up what is left. */
  cancel(): Promise<void>;
}

/** The arrays of a file that NumPy's `savez` or `savez_compressed` wrote. */
export interface Npz {
  /** @throws {Problem} if there is no such array, or it is not in C order */
  open(name: string): Promise<NpzArray>;
  close(): Promise<void>;
}

/** @throws {Problem} naming the file: missing, or no zip archive */
export async function openNpz(path: string): Promise<Npz> {
  const file = await Deno.open(path).catch((cause) => {
    throw new Problem(`Cannot read ${path}: it does not exist or may not be read`, { cause });
  });
  const zip = new ZipReader(readerOf(file));
  const entries = await zip.getEntries().catch((cause) => {
    file.close();
    throw new Problem(`Cannot read ${path}: it is cut short or no npz file; fetch it again`, { cause });
  });
  return {
    async open(name) {
      const entry = entries.find(({ filename, directory }) => !directory && filename === `${name}.npy`) as FileEntry;
      if (entry) return await openArray(`${path}: ${name}`, entry);
      const found = entries.map(({ filename }) => filename.replace(/\.npy$/, "")).join(", ");
      throw new Problem(`Cannot use ${path}: it has no array ${name}; it has ${found}`);
    },
    async close() {
      await zip.close();
      file.close();
    },
  };
}

async function openArray(name: string, entry: FileEntry): Promise<NpzArray> {
  const values = unpack(name, entry);
  const start = await values.read(10);
  if (latin(start, 1, 6) !== "NUMPY") throw damaged(name, new Error("it is no NumPy array"));
  // Version 1 has a header length of 2 bytes, later ones of 4.
  const more = start[6]! > 1 ? 65536 * (await values.read(2))[0]! : 0;
  const length = start[8]! + 256 * start[9]! + more;
  const header = latin(await values.read(length), 0, length);
  const [, type] = /'descr': '([^']+)'/.exec(header) ?? [],
    [, dimensions] = /'shape': \(([\d, ]*)\)/.exec(header) ?? [];
  if (type === undefined || dimensions === undefined || !header.includes("'fortran_order': False")) {
    await values.cancel();
    throw new Problem(`Cannot use ${name}: expected a plain array in C order, got ${header.trim()}`);
  }
  const shape = dimensions.split(",").map((n) => n.trim()).filter((n) => n !== "").map(Number);
  return { shape, type, ...values };
}

/** The bytes of an entry as they are unpacked, and no faster than they are read. */
function unpack(name: string, entry: FileEntry): Pick<NpzArray, "read" | "finish" | "cancel"> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const stop = new AbortController();
  let failure: unknown;
  const done = entry.getData(writable, { checkSignature: true, signal: stop.signal }).catch((cause) => {
    failure = cause;
  });
  const reader = readable.getReader();
  const next = async () => {
    const { value } = await reader.read().catch((cause) => {
      throw damaged(name, failure ?? cause);
    });
    return value;
  };
  let left: Uint8Array = new Uint8Array();
  return {
    async read(count) {
      const bytes = new Uint8Array(count);
      for (let at = 0; at < count;) {
        if (left.length === 0) {
          const value = await next();
          if (!value) throw damaged(name, failure);
          left = value;
        }
        const part = left.subarray(0, count - at);
        bytes.set(part, at);
        at += part.length;
        left = left.subarray(part.length);
      }
      return bytes;
    },
    async finish() {
      while (await next());
      await done;
      if (failure !== undefined) throw damaged(name, failure);
    },
    async cancel() {
      stop.abort();
      await reader.cancel().catch(() => {});
      await done;
    },
  };
}

function damaged(name: string, cause: unknown): Problem {
  const reason = cause instanceof Error ? cause.message : "it ends early";
  return new Problem(`Cannot read ${name}: ${reason}; fetch the file again`, { cause });
}

/** A file as zip.js reads it. */
function readerOf(file: Deno.FsFile): Reader<Deno.FsFile> {
  const size = file.statSync().size;
  const readUint8Array = (index: number, length: number) =>
    Promise.resolve(readAt(file, index, Math.min(length, size - index)));
  return Object.assign(new Reader(file), { size, readUint8Array });
}
