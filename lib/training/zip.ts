import { crc32, inflateRawSync } from "node:zlib";

/** One member of an archive: where its bytes lie in the file. */
export interface ZipMember {
  readonly name: string;
  readonly start: number;
  /** Bytes in the file: fewer than `length` where it is compressed. */
  readonly packed: number;
  readonly length: number;
  readonly deflated: boolean;
  readonly crc32: number;
}

/** `deflate`: also take compressed members, as NumPy writes them. PyTorch never does. */
export interface ZipOptions {
  readonly deflate?: boolean;
}

/** A file open for reading at any place, so that a large one is never read whole. */
export interface RandomAccess {
  readonly size: number;
  /** @throws {SyntaxError} when the file does not hold these bytes. */
  read(start: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

const endLength = 22, locatorLength = 20, end64Length = 56, headerLength = 30, entryLength = 46;
const maxDirectoryLength = 64 << 20;
const inExtra = 0xffffffff, deflateMethod = 8;

/** Reads anywhere in an open file. */
export function randomAccess(file: Deno.FsFile, size: number): RandomAccess {
  return {
    size,
    async read(start, length) {
      if (!(start >= 0 && length >= 0 && start + length <= size)) {
        throw new SyntaxError(
          `it has ${size} bytes, but bytes ${start} to ${start + length} were expected: it is cut short`,
        );
      }
      await file.seek(start, Deno.SeekMode.Start);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const count = await file.read(bytes.subarray(done));
        if (count === null) throw new SyntaxError("it became shorter while it was read");
        done += count;
      }
      return bytes;
    },
  };
}

/**
 * The members of a zip archive; large ones (zip64) too.
 *
 * @throws {SyntaxError} for a split, encrypted or overlapping archive, which neither PyTorch nor NumPy writes.
 */
export async function readDirectory(
  file: RandomAccess,
  { deflate = false }: ZipOptions = {},
): Promise<ReadonlyMap<string, ZipMember>> {
  const { count, start, length } = await findDirectory(file);
  if (length > maxDirectoryLength) throw new SyntaxError(`its zip directory has ${length} bytes`);
  const bytes = await file.read(start, length);
  const view = new DataView(bytes.buffer);
  const members = new Map<string, ZipMember>();
  let total = 0;
  for (let at = 0; at < length;) {
    if (at + entryLength > length || view.getUint32(at, true) !== 0x02014b50) damaged();
    const nameLength = view.getUint16(at + 28, true), extraLength = view.getUint16(at + 30, true);
    const next = at + entryLength + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > length) damaged();
    const name = new TextDecoder().decode(bytes.subarray(at + entryLength, at + entryLength + nameLength));
    const shown = JSON.stringify(name.slice(0, 60));
    if (members.has(name)) throw new SyntaxError(`its zip directory names ${shown} twice`);
    const extra = new DataView(bytes.buffer, at + entryLength + nameLength, extraLength);
    const wide = wideFields(extra, [24, 20, 42].map((field) => view.getUint32(at + field, true)));
    const [size, packed, header] = wide as [number, number, number];
    const method = view.getUint16(at + 10, true), deflated = deflate && method === deflateMethod;
    const isRead = deflated || method === 0 && size === packed;
    if (!isRead || (view.getUint16(at + 8, true) & 1) !== 0) {
      throw new SyntaxError(`its member ${shown} is compressed in another way than this kind of file is, or encrypted`);
    }
    total += packed;
    members.set(name, {
      name,
      start: await dataStart(file, header),
      packed,
      length: size,
      deflated,
      crc32: view.getUint32(at + 16, true),
    });
    at = next;
  }
  if (members.size !== count || total > file.size) damaged();
  return members;
}

/**
 * The bytes of one member. A compressed one can be a thousand times as long as
 * the file: look at its `length` first.
 *
 * @throws {SyntaxError} when they do not match their checksum.
 */
export async function readMember(file: RandomAccess, member: ZipMember): Promise<Uint8Array<ArrayBuffer>> {
  const packed = await file.read(member.start, member.packed);
  const bytes = member.deflated ? inflate(packed, member) : packed;
  if (bytes.length === member.length && crc32(bytes) === member.crc32) return bytes;
  throw new SyntaxError(`its member ${member.name} does not match its checksum: it is damaged; fetch it again`);
}

function inflate(packed: Uint8Array<ArrayBuffer>, { name, length }: ZipMember): Uint8Array<ArrayBuffer> {
  try {
    // A copy: what comes back may be a view of a buffer that is not 8-byte aligned.
    return new Uint8Array(inflateRawSync(packed, { maxOutputLength: Math.max(1, length) }));
  } catch (error) {
    throw new SyntaxError(`its member ${name} cannot be decompressed: it is damaged; fetch it again`, { cause: error });
  }
}

async function findDirectory(file: RandomAccess): Promise<{ count: number; start: number; length: number }> {
  const tail = await file.read(Math.max(0, file.size - endLength - 0xffff), Math.min(file.size, endLength + 0xffff));
  const view = new DataView(tail.buffer);
  for (let at = tail.length - endLength; at >= 0; at--) {
    if (view.getUint32(at, true) !== 0x06054b50 || at + endLength + view.getUint16(at + 20, true) !== tail.length) {
      continue;
    }
    const place = file.size - tail.length + at - locatorLength;
    const locator = place < 0 ? undefined : new DataView((await file.read(place, locatorLength)).buffer);
    if (locator?.getUint32(0, true) === 0x07064b50) {
      const end = new DataView((await file.read(Number(locator.getBigUint64(8, true)), end64Length)).buffer);
      if (end.getUint32(0, true) !== 0x06064b50) damaged();
      const [count, length, start] = [32, 40, 48].map((field) => Number(end.getBigUint64(field, true)));
      return { count: count!, start: start!, length: length! };
    }
    const [length, start] = [12, 16].map((field) => view.getUint32(at + field, true));
    return { count: view.getUint16(at + 10, true), start: start!, length: length! };
  }
  throw new SyntaxError("it has no zip directory at its end: it is cut short");
}

/** Size, packed size and header offset; those that 32 bits cannot hold stand, in this order, in the zip64 field. */
function wideFields(extra: DataView, fields: readonly number[]): number[] {
  let at = 0;
  while (at + 4 <= extra.byteLength && extra.getUint16(at, true) !== 1) at += 4 + extra.getUint16(at + 2, true);
  const end = at + 4 <= extra.byteLength ? at + 4 + extra.getUint16(at + 2, true) : 0;
  at += 4;
  return fields.map((field) => {
    if (field !== inExtra) return field;
    if (at + 8 > end || end > extra.byteLength) damaged();
    at += 8;
    return Number(extra.getBigUint64(at - 8, true));
  });
}

/** Behind the member's own header, whose name and extra field have lengths of their own. */
async function dataStart(file: RandomAccess, header: number): Promise<number> {
  const view = new DataView((await file.read(header, headerLength)).buffer);
  if (view.getUint32(0, true) !== 0x04034b50) damaged();
  return header + headerLength + view.getUint16(26, true) + view.getUint16(28, true);
}

function damaged(): never {
  throw new SyntaxError("its zip directory does not agree with its content: it is damaged");
}
