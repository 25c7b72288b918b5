import { Problem } from "../../core/problem.ts";
import { latin } from "./image_header.ts";

/** A regular file in a tar archive. */
export interface TarMember {
  readonly name: string;
  /** Of its first byte in the archive. */
  readonly offset: number;
  readonly size: number;
}

const block = 512;
/** Bytes of a pax header at most: it holds names and times. */
const mostHeader = 65536;
/** Records of a pax header that change nothing of the file's bytes. */
const harmless = new Set(["mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment"]);

/**
 * The members of a tar archive (POSIX ustar and pax), found by hopping from
 * header to header. Strict, for what is read here is never unpacked: a link, a
 * device, a path that leaves the archive, a name that occurs twice, a wrong
 * checksum or a cut end is refused.
 *
 * @throws {Problem} naming the archive, the member and what is wrong
 */
export function readTarIndex(path: string, file: Deno.FsFile): TarMember[] {
  const length = file.statSync().size;
  const members: TarMember[] = [], names = new Set<string>();
  const refuse = (what: string) => new Problem(`Cannot read ${path}: ${what}`);
  let longName: string | undefined, at = 0;
  for (;;) {
    if (at + block > length) throw refuse("it is cut short: a tar archive ends with two empty blocks");
    const header = readAt(file, at, block);
    if (header[0] === 0 && header.every((byte) => byte === 0)) break;
    const { name, size, type } = parseHeader(header, () => refuse(`the header at byte ${at} is damaged`));
    const data = at + block, end = data + Math.ceil(size / block) * block;
    if (end > length) throw refuse(`it is cut short within ${name}`);
    at = end;
    if (type === "x" || type === "g") {
      if (size > mostHeader) throw refuse(`the header of a member has ${size} bytes`);
      const { path: renamed, ...others } = parsePax(latin(readAt(file, data, size), 0, size));
      const unknown = Object.keys(others).find((key) => !harmless.has(key));
      if (unknown !== undefined) throw refuse(`the header of a member sets ${unknown}, which is not read here`);
      longName = type === "x" ? renamed : longName;
      continue;
    }
    const whole = longName ?? name;
    longName = undefined;
    if (type === "5") continue; // a folder
    if (type !== "0" && type !== "\0") throw refuse(`${whole} is no regular file (type ${type}), expected only those`);
    if (whole.startsWith("/") || whole.split("/").includes("..")) throw refuse(`${whole} points out of the archive`);
    if (names.has(whole)) throw refuse(`${whole} occurs twice`);
    names.add(whole);
    members.push({ name: whole, offset: data, size });
  }
  return members;
}

/** `count` bytes from `at` on. The file is known to have them. */
export function readAt(file: Deno.FsFile, at: number, count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  file.seekSync(at, Deno.SeekMode.Start);
  for (let done = 0; done < count;) {
    const read = file.readSync(bytes.subarray(done));
    if (read === null) throw new Deno.errors.UnexpectedEof(`expected ${count} bytes at ${at}`);
    done += read;
  }
  return bytes;
}

function parseHeader(header: Uint8Array, damaged: () => Problem): { name: string; size: number; type: string } {
  const text = (begin: number, end: number) => {
    const zero = header.indexOf(0, begin);
    return latin(header, begin, zero < 0 ? end : Math.min(zero, end));
  };
  const octal = (begin: number, end: number) => {
    const digits = text(begin, end).trim();
    if (!/^[0-7]+$/.test(digits)) throw damaged();
    return parseInt(digits, 8);
  };
  // The checksum is the sum of all bytes with its own eight taken as spaces.
  let sum = 8 * 32;
  for (let i = 0; i < block; i++) if (i < 148 || i >= 156) sum += header[i]!;
  if (octal(148, 156) !== sum) throw damaged();
  const prefix = latin(header, 257, 263) === "ustar\0" ? text(345, 500) : "";
  const name = utf8(`${prefix ? `${prefix}/` : ""}${text(0, 100)}`);
  return { name, size: octal(124, 136), type: String.fromCharCode(header[156]!) };
}

/** Records `length key=value\n`. */
function parsePax(text: string): Record<string, string> {
  const records: Record<string, string> = {};
  for (let at = 0; at < text.length;) {
    const [start, length] = /^(\d+) /.exec(text.slice(at, at + 24)) ?? [];
    if (start === undefined || Number(length) <= start.length) break;
    const [key, ...value] = text.slice(at + start.length, at + Number(length) - 1).split("=");
    records[key!] = utf8(value.join("="));
    at += Number(length);
  }
  return records;
}

const utf8 = (text: string) =>
  // deno-lint-ignore no-control-regex
  /^[\x00-\x7F]*$/.test(text)
    ? text
    : new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
