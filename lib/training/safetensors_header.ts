/**
 * The header of a safetensors file, read by its own narrow grammar rather than
 * by `JSON.parse`, which keeps the last of two equal names, rounds integers
 * above 2^53, takes 2.0 and 1e1 for integers and lone surrogates for text.
 */

/** Bytes per value of the types that are read; all become float32. */
export const itemSizes = { F64: 8, F32: 4, F16: 2, BF16: 2 } as const;
export type DType = keyof typeof itemSizes;

/** Where one tensor lies in the data section. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Offsets into the data section, in bytes. */
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly entries: readonly HeaderEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

const maxNameLength = 512;
const maxTensors = 65_536;
const maxRank = 16;

/**
 * Reads a header and checks that its tensors tile `dataLength` bytes without
 * overlap or hole, as the format demands, so that nothing can hide in the file.
 *
 * @throws {SyntaxError} saying what is wrong, without the file's name.
 */
export function parseHeader(bytes: Uint8Array, dataLength: number): Header {
  const scanner = createScanner(decode(bytes));
  const entries = new Map<string, HeaderEntry>();
  let metadata: Record<string, string> | undefined;
  scanner.members(() => {
    const name = scanner.text();
    scanner.expect(":");
    if (name === "__metadata__") {
      if (metadata) throw new SyntaxError(`"__metadata__" comes twice`);
      metadata = readMetadata(scanner);
      return;
    }
    checkName(name);
    if (entries.has(name)) throw new SyntaxError(`tensor ${JSON.stringify(name)} comes twice`);
    if (entries.size === maxTensors) throw new SyntaxError(`it names more than ${maxTensors} tensors`);
    entries.set(name, readEntry(scanner, name));
  });
  scanner.end();
  checkTiling([...entries.values()], dataLength);
  return { entries: [...entries.values()], metadata: metadata ?? {} };
}

/**
 * Refuses names that a reader could take for a path or that no terminal shows.
 *
 * @throws {SyntaxError}
 */
export function checkName(name: string): void {
  const shown = JSON.stringify(name.slice(0, 60));
  if (name === "" || name === "__metadata__") throw new SyntaxError(`a tensor cannot be named ${shown}`);
  if (name.length > maxNameLength) {
    throw new SyntaxError(`a name is longer than ${maxNameLength} characters: ${shown}…`);
  }
  // deno-lint-ignore no-control-regex
  if (/[\u0000-\u001f\u007f\\]/.test(name) || !name.isWellFormed()) {
    throw new SyntaxError(`the name ${shown} has control characters, backslashes or lone surrogates`);
  }
  if (name.split("/").some((part) => part === "" || part === "." || part === "..")) {
    throw new SyntaxError(`the name ${shown} reads as a file path`);
  }
}

function decode(bytes: Uint8Array): string {
  if (bytes[0] !== 0x7b) throw new SyntaxError("the header does not begin with {");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SyntaxError("the header is not UTF-8");
  }
}

function readMetadata(scanner: Scanner): Record<string, string> {
  const pairs = new Map<string, string>();
  scanner.members(() => {
    const key = scanner.text();
    if (pairs.has(key)) throw new SyntaxError(`metadata ${JSON.stringify(key)} comes twice`);
    scanner.expect(":");
    pairs.set(key, scanner.text());
  });
  return Object.fromEntries(pairs);
}

function readEntry(scanner: Scanner, name: string): HeaderEntry {
  const tensor = `tensor ${JSON.stringify(name)}`;
  let dtype: string | undefined, shape: number[] | undefined, offsets: number[] | undefined;
  scanner.members(() => {
    const field = scanner.text();
    scanner.expect(":");
    if (field === "dtype" && dtype === undefined) dtype = scanner.text();
    else if (field === "shape" && shape === undefined) shape = scanner.integers(maxRank);
    else if (field === "data_offsets" && offsets === undefined) offsets = scanner.integers(2);
    else throw new SyntaxError(`${tensor} has an unknown or repeated field ${JSON.stringify(field.slice(0, 60))}`);
  });
  if (dtype === undefined || shape === undefined || offsets?.length !== 2) {
    throw new SyntaxError(`${tensor} must have dtype, shape and two data_offsets`);
  }
  if (!Object.hasOwn(itemSizes, dtype)) {
    const known = Object.keys(itemSizes).join(", ");
    throw new SyntaxError(`${tensor} has type ${JSON.stringify(dtype.slice(0, 20))}; those read are ${known}`);
  }
  const [begin, end] = offsets as [number, number];
  const size = shape.reduce((product, n) => product * BigInt(n), BigInt(itemSizes[dtype as DType]));
  if (begin > end || BigInt(end - begin) !== size) {
    throw new SyntaxError(`${tensor} of shape [${shape}] and type ${dtype} does not fill bytes ${begin} to ${end}`);
  }
  return { name, dtype: dtype as DType, shape, begin, end };
}

function checkTiling(entries: readonly HeaderEntry[], dataLength: number): void {
  let position = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    const tensor = `tensor ${JSON.stringify(name)}`;
    if (begin < position) throw new SyntaxError(`${tensor} overlaps the one before it at byte ${begin}`);
    if (begin > position) throw new SyntaxError(`bytes ${position} to ${begin} before ${tensor} belong to no tensor`);
    if (end > dataLength) {
      throw new SyntaxError(`${tensor} ends at byte ${end} of ${dataLength}: the file is cut short`);
    }
    position = end;
  }
  if (position !== dataLength) {
    throw new SyntaxError(`its tensors end at byte ${position}, the data at byte ${dataLength}`);
  }
}

/** Reads the few forms of JSON that a header is made of. */
interface Scanner {
  expect(character: string): void;
  /** `{` member `,` … `}`, calling `member` at the start of each. */
  members(member: () => void): void;
  text(): string;
  /** An array of at most `most` non-negative safe integers. */
  integers(most: number): number[];
  end(): void;
}

function createScanner(source: string): Scanner {
  let at = 0;
  const fail = (expected: string): never => {
    const found = at < source.length ? JSON.stringify(source.slice(at, at + 10)) : "its end";
    throw new SyntaxError(`the header has ${found} at character ${at} where ${expected} was expected`);
  };
  const skipBlanks = () => {
    while (at < source.length && " \t\r\n".includes(source[at]!)) at++;
  };
  const take = (character: string): boolean => {
    skipBlanks();
    if (source[at] !== character) return false;
    at++;
    return true;
  };
  const expect = (character: string): void => void (take(character) || fail(character));
  const list = (close: string, item: () => void): void => {
    if (take(close)) return;
    do item(); while (take(","));
    expect(close);
  };
  const integer = (): number => {
    skipBlanks();
    const digits = /(?:0|[1-9][0-9]{0,16})(?![0-9.eE])/y;
    digits.lastIndex = at;
    const match = digits.exec(source)?.[0] ?? fail("an integer of 0 or more");
    if (!Number.isSafeInteger(Number(match))) fail("an integer below 2^53");
    at += match.length;
    return Number(match);
  };
  return {
    expect,
    members(member) {
      expect("{");
      list("}", member);
    },
    text() {
      expect('"');
      let close = at;
      while (close < source.length && source[close] !== '"') close += source[close] === "\\" ? 2 : 1;
      try {
        const value: string = JSON.parse(source.slice(at - 1, close + 1));
        if (!value.isWellFormed()) fail("text without lone surrogates");
        at = close + 1;
        return value;
      } catch (error) {
        if (error instanceof SyntaxError && error.message.startsWith("the header")) throw error;
        return fail("text in double quotes");
      }
    },
    integers(most) {
      const values: number[] = [];
      expect("[");
      list("]", () => {
        if (values.length === most) fail(`at most ${most} numbers`);
        values.push(integer());
      });
      return values;
    },
    end() {
      skipBlanks();
      if (at !== source.length) fail("nothing more");
    },
  };
}
