import { tryLock } from "../core/file_lock.ts";
import { exists, fileFault, renameAtomic } from "../core/files.ts";
import { Problem } from "../core/problem.ts";
import { say } from "../core/terminal.ts";

/** Rows of float32 numbers on disk, read where they are asked for. */
export interface RowFile {
  /**
   * The rows at `indices`, in that order: `[indices.length, width]`.
   *
   * @throws {RangeError} for a row that there is not
   */
  gather(indices: Int32Array): Float32Array;
}

export interface RowFileOptions {
  readonly rows: number;
  /** Numbers in a row. */
  readonly width: number;
  /** Rows that are made and written at a time; 2000 if not said. */
  readonly step?: number;
  /** Told how many rows are there, while they are made. */
  readonly watch?: (rows: number) => void;
}

/**
 * Opens the file at `path`, or makes it first. What was made is written and
 * synced step by step into `<path>.part`, so that an interrupted making goes on
 * where it was, but for its last step, which may be torn and is made again.
 * Another process that makes the same file is waited for, where the file
 * system has locks.
 *
 * @param make the rows `start` … `end − 1`, `[end − start, width]`; the same whenever it is asked
 * @throws {Problem} exit code 74 when the disk refuses, or the file has another length
 */
export async function openRowFile(
  path: string,
  options: RowFileOptions,
  make: (start: number, end: number) => Promise<Float32Array>,
): Promise<RowFile> {
  const { rows, width } = options;
  if (!await exists(path)) await makeRows(path, options, make);
  const { size } = await Deno.stat(path), length = 4 * width;
  if (size !== length * rows) {
    throw new Problem(
      `Cannot use ${path}: it has ${size} bytes where ${length * rows} were expected; delete it, to have it made again`,
      { exitCode: 74 },
    );
  }
  return {
    gather(indices) {
      const gathered = new Float32Array(indices.length * width), bytes = new Uint8Array(gathered.buffer);
      using file = Deno.openSync(path);
      indices.forEach((row, i) => {
        if (row < 0 || row >= rows) throw new RangeError(`Cannot read row ${row} of ${path}: it has ${rows}`);
        file.seekSync(length * row, Deno.SeekMode.Start);
        readFully(file, bytes.subarray(length * i, length * (i + 1)));
      });
      return gathered;
    },
  };
}

function readFully(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const count = file.readSync(bytes.subarray(done));
    if (count === null) throw new RangeError("The file became shorter while it was in use");
    done += count;
  }
}

async function makeRows(
  path: string,
  { rows, width, step = 2000, watch = () => {} }: RowFileOptions,
  make: (start: number, end: number) => Promise<Float32Array>,
): Promise<void> {
  const partial = `${path}.part`;
  using file = await openForWriting(partial);
  if (!tryLock(file, path)) {
    say(`another process makes ${path}: waiting for it`);
    await file.lock(true);
  }
  if (await exists(path)) return await Deno.remove(partial).catch(() => {});
  const stepLength = 4 * width * step;
  const whole = Math.max(0, Math.floor((await file.stat()).size / stepLength) - 1);
  await file.truncate(whole * stepLength);
  await file.seek(0, Deno.SeekMode.End);
  for (let start = whole * step; start < rows; start += step) {
    const end = Math.min(start + step, rows);
    const made = await make(start, end);
    if (made.length !== (end - start) * width) {
      throw new TypeError(`Cannot store ${made.length} numbers as rows of ${width}`);
    }
    await append(file, made, path);
    watch(end);
  }
  await renameAtomic(partial, path);
}

async function openForWriting(path: string): Promise<Deno.FsFile> {
  try {
    await Deno.mkdir(path.replace(/[^/\\]*$/, ""), { recursive: true });
    return await Deno.open(path, { create: true, read: true, write: true });
  } catch (error) {
    throw fileFault("write", path, error);
  }
}

async function append(file: Deno.FsFile, values: Float32Array, path: string): Promise<void> {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  try {
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
    await file.sync();
  } catch (error) {
    throw fileFault("write", path, error);
  }
}
