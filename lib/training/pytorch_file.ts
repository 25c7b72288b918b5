import { fileFault } from "../core/files.ts";
import { Problem } from "../core/problem.ts";
import { type PickleRules, readPickle } from "./pickle.ts";
import { namedTensors, rules, storageReference } from "./pytorch_objects.ts";
import { contiguous, type StorageReference, type StorageType } from "./pytorch_storage.ts";
import { type RandomAccess, randomAccess, readDirectory, readMember } from "./zip.ts";

/** One tensor of a PyTorch file, row-major. */
export interface PyTorchTensor {
  readonly shape: readonly number[];
  /** The type in the file: float32, float16, bfloat16, float64, int64 … */
  readonly dtype: string;
  readonly data: Float32Array;
}

export interface PyTorchOptions {
  /** Which tensors to read; the others cost nothing. All, if not said. */
  readonly keep?: (name: string, shape: readonly number[]) => boolean;
  /** Told how many bytes of how many are read. */
  readonly watch?: (done: number, total: number) => void;
}

const magic = 0x1950a86a20f9469cfc6cn, protocol = 1001;
const maxPickleLength = 16 << 20;

/**
 * Reads the tensors of a file that `torch.save` wrote: a state dict, or a
 * checkpoint of nested dictionaries and lists, whose keys are joined by dots
 * (`ema.blocks.0.attn.qkv.weight`). Both the zip format (since PyTorch 1.6)
 * and the one before it, which has no checksums. Nothing of the file is
 * executed: see `readPickle`.
 * Storages are read one by one, those that no kept tensor needs not at all.
 * Tied and contiguous tensors share memory. All become float32: float64 is
 * rounded, integers must be exact.
 *
 * @throws {Problem} one sentence: missing (exit code 2); cut short, damaged, of
 * another format, asking for a foreign global, or holding no tensors (74).
 */
export async function readPyTorchFile(
  path: string,
  options: PyTorchOptions = {},
): Promise<ReadonlyMap<string, PyTorchTensor>> {
  using file = await open(path);
  const { size } = await file.stat();
  return await decodePyTorchFile(randomAccess(file, size), path, options);
}

/**
 * As `readPyTorchFile`, from a file already open, or bytes.
 *
 * @param path what to call the file in errors
 */
export async function decodePyTorchFile(
  file: RandomAccess,
  path: string,
  options: PyTorchOptions = {},
): Promise<ReadonlyMap<string, PyTorchTensor>> {
  try {
    const opening = await file.read(0, Math.min(4, file.size));
    const isZip = opening[0] === 0x50 && opening[1] === 0x4b;
    if (!isZip && opening[0] !== 0x80) throw new SyntaxError("it begins neither as a zip archive nor as a pickle");
    return await readTensors(isZip ? await openZip(file) : await openLegacy(file), file.size, options);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Problem(`Cannot use ${path} as a PyTorch file: ${error.message}`, { cause: error, exitCode: 74 });
  }
}

async function open(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (error) {
    throw fileFault("read", path, error);
  }
}

/** What both formats come to: the saved object, and a way to its numbers. */
interface Archive {
  readonly root: unknown;
  readonly load: (storage: StorageReference) => Promise<Uint8Array<ArrayBuffer>>;
}

async function openZip(file: RandomAccess): Promise<Archive> {
  const members = await readDirectory(file);
  const pickles = [...members.keys()].filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (pickles.length !== 1) throw new SyntaxError("it is a zip archive, but without the data.pkl of PyTorch");
  const folder = pickles[0]!.slice(0, -"data.pkl".length);
  const order = members.get(`${folder}byteorder`);
  if (order && new TextDecoder().decode(await readMember(file, order)) !== "little") throw new SyntaxError(bigEndian);
  const pickle = members.get(pickles[0]!)!;
  if (pickle.length > maxPickleLength) throw new SyntaxError(`its pickle has ${pickle.length} bytes`);
  return {
    root: readPickle(await readMember(file, pickle), 0, rules).value,
    load: async ({ key, type, length }) => {
      const member = members.get(`${folder}data/${key}`);
      if (!member) throw new SyntaxError(`its storage ${JSON.stringify(key)} is missing`);
      if (member.length !== length * type.itemSize) throw lies(key, length * type.itemSize, member.length);
      return await readMember(file, member);
    },
  };
}

/** Five pickles (magic number, version, machine, object, storage keys), then each storage behind its length. */
async function openLegacy(file: RandomAccess): Promise<Archive> {
  const head = await file.read(0, Math.min(file.size, maxPickleLength));
  const storages = new Map<string, StorageReference>();
  const remembering: PickleRules = {
    ...rules,
    persistent: (id) => {
      const storage = storageReference(id);
      storages.set(storage.key, storage);
      return storage;
    },
  };
  const parts: unknown[] = [];
  let at = 0;
  for (let i = 0; i < 5; i++) {
    const { value, end } = readPickle(head, at, remembering);
    parts.push(value);
    at = end;
    if (i === 0 && value !== magic) throw new SyntaxError("it is a pickle, but does not begin with PyTorch's number");
  }
  const [, version, machine, root, keys] = parts;
  if (version !== protocol) throw new SyntaxError(`it is of version ${version}; the one read is ${protocol}`);
  if (!(machine instanceof Map) || machine.get("little_endian") !== true) throw new SyntaxError(bigEndian);
  if (!Array.isArray(keys)) throw new SyntaxError("it does not list its storages");
  const starts = new Map<string, number>();
  for (const key of keys) {
    const storage = storages.get(key);
    if (!storage || starts.has(key)) {
      throw new SyntaxError(`it lists a storage ${JSON.stringify(key)} that nothing uses`);
    }
    const length = new DataView((await file.read(at, 8)).buffer).getBigInt64(0, true);
    if (length !== BigInt(storage.length)) throw lies(key, storage.length, length);
    starts.set(key, at + 8);
    at += 8 + storage.length * storage.type.itemSize;
  }
  if (at !== file.size) {
    throw new SyntaxError(`its storages end at byte ${at} of ${file.size}: it is cut short or damaged`);
  }
  return {
    root,
    load: async ({ key, type, length }) => {
      const start = starts.get(key);
      if (start === undefined) throw new SyntaxError(`its storage ${JSON.stringify(key)} is missing`);
      return await file.read(start, length * type.itemSize);
    },
  };
}

const bigEndian = "it was written by a machine of the other byte order";
const lies = (key: string, expected: number, found: number | bigint) =>
  new SyntaxError(`its storage ${JSON.stringify(key)} has size ${found} where its tensors say ${expected}`);

async function readTensors(
  { root, load }: Archive,
  fileSize: number,
  { keep = () => true, watch = () => {} }: PyTorchOptions,
): Promise<ReadonlyMap<string, PyTorchTensor>> {
  const named = namedTensors(root);
  if (named.size === 0) throw new SyntaxError("it holds no named tensors; a state dict or a checkpoint was expected");
  const tensors = new Map<string, PyTorchTensor>();
  const storages = new Map<string, StorageReference>();
  const users = new Map<string, string[]>();
  for (const [name, { storage, shape }] of named) {
    if (!keep(name, shape)) continue;
    const { type, length } = storages.get(storage.key) ?? storage;
    if (type !== storage.type || length !== storage.length) throw lies(storage.key, storage.length, length);
    storages.set(storage.key, storage);
    users.set(storage.key, [...users.get(storage.key) ?? [], name]);
    tensors.set(name, { shape: [], dtype: type.dtype, data: new Float32Array() }); // keeps the file's order
  }
  const sizeOf = ({ type, length }: StorageReference) => type.itemSize * length;
  const total = [...storages.values()].reduce((sum, storage) => sum + sizeOf(storage), 0);
  let copied = 0, done = 0;
  for (const [key, storage] of storages) {
    const values = toFloat32(storage.type, await load(storage), users.get(key)![0]!);
    for (const name of users.get(key)!) {
      const reference = named.get(name)!;
      const data = contiguous(values, reference);
      // Views that repeat one storage could make a small file fill the memory.
      if (data.buffer !== values.buffer && (copied += data.length) > fileSize) {
        throw new SyntaxError("its tensors are many views of the same numbers, more than the file has bytes");
      }
      tensors.set(name, { shape: reference.shape, dtype: storage.type.dtype, data });
    }
    watch(done += sizeOf(storage), total);
  }
  return tensors;
}

function toFloat32(type: StorageType, bytes: Uint8Array<ArrayBuffer>, name: string): Float32Array {
  try {
    return type.toFloat32(bytes);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new SyntaxError(`its tensor ${JSON.stringify(name)} (${type.dtype}) ${error.message}`, { cause: error });
  }
}
