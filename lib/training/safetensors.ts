import { createHash } from "node:crypto";
import { readBytes, writeFileAtomic } from "../core/files.ts";
import { Problem } from "../core/problem.ts";
import { checkName, type DType, type HeaderEntry, itemSizes, parseHeader } from "./safetensors_header.ts";

/** One tensor of a file: its shape and its values, row-major. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What a safetensors file holds. */
export interface Safetensors {
  /** By name, in the order of the file. */
  readonly tensors: Map<string, StoredTensor>;
  /** Free text by key, without the digest. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Whether this project wrote it: it carries the digest. */
  readonly own: boolean;
}

/** `foreign`: also take files that another program wrote, which carry no digest. */
export interface ReadOptions {
  readonly foreign?: boolean;
}

const maxHeaderLength = 10_000_000;
const digestKey = "sha256";
// The format has no checksum. Ours is the hash of the whole file with its own
// 64 digits as zeros; it comes first, so that it is found without parsing.
const opening = new TextEncoder().encode(`{"__metadata__":{"${digestKey}":"`);
const digestAt = 8 + opening.length;
const blankDigest = "0".repeat(64);

/**
 * Reads a safetensors file. float32 in full; float16, bfloat16 and float64 are
 * converted to float32. The values may share the memory of the file's bytes.
 *
 * @throws {Problem} naming the file and what is wrong with it: missing (exit
 * code 2); cut short, damaged, or not written by this project (74).
 */
export async function readSafetensors(path: string, options: ReadOptions = {}): Promise<Safetensors> {
  return decodeSafetensors(await readBytes(path), path, options);
}

/**
 * Writes tensors as float32 with `metadata` and a digest over everything,
 * replacing the file at once (see `writeFileAtomic`). The same content gives
 * the same bytes.
 *
 * @throws {Problem} exit code 74 when the disk refuses; the old file is kept.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [name: string, tensor: StoredTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}

/**
 * The bytes of a safetensors file.
 *
 * @throws {TypeError} for a name given twice, a shape that does not hold the values, or text that is not Unicode.
 * @throws {SyntaxError} for a name unfit for a file, such as an empty one.
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [name: string, tensor: StoredTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const stored = new Map<string, StoredTensor>();
  const members = [`"__metadata__":{${metadataMembers(metadata).join(",")}}`];
  let end = 0;
  for (const [name, tensor] of tensors) {
    checkName(name);
    if (stored.has(name)) throw new TypeError(`Cannot write two tensors named ${name}`);
    if (tensor.shape.reduce((product, n) => product * n, 1) !== tensor.data.length) {
      throw new TypeError(`Cannot write ${name}: shape [${tensor.shape}] does not hold ${tensor.data.length} values`);
    }
    const entry = { dtype: "F32", shape: tensor.shape, data_offsets: [end, end += tensor.data.byteLength] };
    members.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    stored.set(name, tensor);
  }
  const text = new TextEncoder().encode(`{${members.join(",")}}`);
  const headerLength = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerLength + end).fill(0x20, 8, 8 + headerLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(text, 8);
  let at = 8 + headerLength;
  for (const { data } of stored.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  bytes.set(new TextEncoder().encode(digestOf(bytes)), digestAt);
  return bytes;
}

/** Joined by hand: an object would put keys such as "1" before the digest. */
function metadataMembers(metadata: Readonly<Record<string, string>>): string[] {
  return [[digestKey, blankDigest] as const, ...Object.entries(metadata)].map(([key, value], i) => {
    if (i > 0 && key === digestKey) throw new TypeError(`Metadata "${digestKey}" is the writer's own`);
    if (!`${key}${value}`.isWellFormed()) throw new TypeError(`Metadata ${JSON.stringify(key)} has a lone surrogate`);
    return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
  });
}

/**
 * Reads the bytes of a safetensors file.
 *
 * @param path what to call the file in errors
 * @throws {Problem} exit code 74, saying what is wrong.
 */
export function decodeSafetensors(
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  { foreign = false }: ReadOptions = {},
): Safetensors {
  try {
    if (bytes.length < 8) throw new SyntaxError(`it has ${bytes.length} bytes: too short for a header`);
    const declared = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    if (declared > maxHeaderLength) throw new SyntaxError(`it declares a header of ${declared} bytes`);
    const dataStart = 8 + Number(declared);
    if (dataStart > bytes.length) throw new SyntaxError("it ends within its header: it is cut short");
    const header = parseHeader(bytes.subarray(8, dataStart), bytes.length - dataStart);
    const own = verifyDigest(bytes, foreign);
    const { [digestKey]: _, ...metadata } = header.metadata;
    const section = bytes.subarray(dataStart);
    const tensors = new Map(header.entries.map((entry) => {
      return [entry.name, { shape: entry.shape, data: toFloat32(section, entry) }] as const;
    }));
    return { tensors, metadata, own };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Problem(`Cannot use ${path} as a safetensors file: ${error.message}`, { cause: error, exitCode: 74 });
  }
}

/** Whether there is a digest: then it holds. */
function verifyDigest(bytes: Uint8Array, foreign: boolean): boolean {
  if (!opening.every((byte, i) => bytes[8 + i] === byte)) {
    if (foreign) return false;
    throw new SyntaxError("it carries no digest of its content: it is damaged, or another program wrote it");
  }
  const stored = new TextDecoder().decode(bytes.subarray(digestAt, digestAt + 64));
  if (stored !== digestOf(bytes)) {
    throw new SyntaxError("its content does not match its digest: it is damaged; restore a copy or make it again");
  }
  return true;
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256")
    .update(bytes.subarray(0, digestAt)).update(blankDigest).update(bytes.subarray(digestAt + 64))
    .digest("hex");
}

function toFloat32(section: Uint8Array<ArrayBuffer>, { dtype, begin, end }: HeaderEntry): Float32Array {
  const at = section.byteOffset + begin;
  const length = (end - begin) / itemSizes[dtype];
  if (dtype === "F32" && at % 4 === 0) return new Float32Array(section.buffer, at, length);
  if (dtype === "F32") return new Float32Array(section.slice(begin, end).buffer); // bits kept, NaN payloads too
  const view = new DataView(section.buffer, at, end - begin);
  return Float32Array.from({ length }, (_, i) => readers[dtype](view, i * itemSizes[dtype]));
}

const readers: Readonly<Record<Exclude<DType, "F32">, (view: DataView, at: number) => number>> = {
  F64: (view, at) => view.getFloat64(at, true),
  F16: (view, at) => view.getFloat16(at, true),
  BF16: (view, at) => bfloat16(view.getUint16(at, true)),
};

const scratch = new DataView(new ArrayBuffer(4));
function bfloat16(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}
