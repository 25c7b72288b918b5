/**
 * Python's pickle format as data: a stack machine that builds lists, maps,
 * text and numbers, and calls nothing but the functions that its caller
 * supplies by name. A global that is not among them ends the reading, so that
 * no file can run code.
 */

/** A name that a pickle may mention. Without `call` it is a value only, such as a data type. */
export interface PickleGlobal {
  readonly name: string;
  /** @throws {SyntaxError} when the arguments are not those expected */
  readonly call?: (args: readonly unknown[]) => unknown;
}

export interface PickleRules {
  /** The globals that are known, by `module.name`. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** What stands for an object that lies outside the pickle. */
  readonly persistent: (id: unknown) => unknown;
}

const maxTextLength = 1_000_000;
const maxLongBytes = 16;
/** A tensor takes about forty; each instruction makes at most one object. */
const maxInstructions = 1_000_000;

/**
 * Reads the pickle that begins at `start`: dictionaries become maps, lists and
 * tuples arrays, integers numbers (or bigints where a number would round).
 * What a pickle sets on an object after building it (`_metadata`) is dropped.
 *
 * @returns the value, and where the pickle ends
 * @throws {SyntaxError} saying what is wrong: a foreign global, a lying length, a stack that runs dry.
 */
export function readPickle(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  { globals, persistent }: PickleRules,
): { readonly value: unknown; readonly end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const memo = new Map<number, unknown>();
  const marks: number[] = [];
  const stack: unknown[] = [];
  let at = start;

  const take = (length: number): number => {
    if (length > bytes.length - at) {
      throw new SyntaxError("its pickle ends too early: the file is cut short or damaged");
    }
    at += length;
    return at - length;
  };
  const uint8 = () => view.getUint8(take(1));
  const uint16 = () => view.getUint16(take(2), true);
  const uint32 = () => view.getUint32(take(4), true);
  const uint64 = () => Number(view.getBigUint64(take(8), true));
  const raw = (length: number) => {
    const from = take(length);
    return bytes.subarray(from, at);
  };
  const text = (length: number) => {
    if (length > maxTextLength) throw new SyntaxError(`its pickle holds a text of ${length} bytes`);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw(length));
    } catch (error) {
      throw error instanceof SyntaxError ? error : new SyntaxError("its pickle holds text that is not UTF-8");
    }
  };
  const line = () => {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) throw new SyntaxError("its pickle ends within a name");
    const name = text(end - at);
    at++;
    return name;
  };
  /** How low the stack may be read: not below the last mark. */
  const floor = () => marks.at(-1) ?? 0;
  const pop = () => {
    if (stack.length <= floor()) throw new SyntaxError("its pickle takes more values than it made");
    return stack.pop();
  };
  const top = () => {
    if (stack.length <= floor()) throw new SyntaxError("its pickle has no object where one is needed");
    return stack.at(-1);
  };
  const popToMark = () => {
    const mark = marks.pop();
    if (mark === undefined) throw new SyntaxError("its pickle ends a list that it never began");
    return stack.splice(mark);
  };
  const last = (count: number) => Array.from({ length: count }, pop).reverse();
  const resolve = (name: string) => {
    const known = globals.get(name);
    if (known) return known;
    throw new SyntaxError(`it asks for ${JSON.stringify(name)}, which weights do not need; nothing of it was run`);
  };
  const call = () => {
    const args = pop(), callee = pop();
    const { call, name } = (callee ?? {}) as Partial<PickleGlobal>;
    if (!isGlobal(callee, globals) || !call) throw new SyntaxError(`its pickle calls ${name ?? "what is no function"}`);
    if (!Array.isArray(args)) throw new SyntaxError(`its pickle calls ${name} with no list of arguments`);
    stack.push(call(args));
  };
  const setItems = (items: readonly unknown[]) => {
    const map = top();
    if (!(map instanceof Map) || items.length % 2 !== 0) {
      throw new SyntaxError("its pickle fills what is no dictionary");
    }
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
  };
  const append = (items: readonly unknown[]) => {
    const list = top();
    if (!Array.isArray(list) || Object.isFrozen(list)) throw new SyntaxError("its pickle appends to what is no list");
    for (const item of items) list.push(item);
  };
  const recall = (index: number) => {
    if (!memo.has(index)) throw new SyntaxError(`its pickle recalls an object ${index} that it never made`);
    stack.push(memo.get(index));
  };
  const tuple = (items: unknown[]) => stack.push(Object.freeze(items));
  const long = (length: number) => {
    if (length > maxLongBytes) throw new SyntaxError(`its pickle holds an integer of ${length} bytes`);
    const digits = raw(length).toReversed();
    const magnitude = digits.reduce((sum, digit) => sum << 8n | BigInt(digit), 0n);
    const value = BigInt.asIntN(8 * length, magnitude);
    stack.push(Number.isSafeInteger(Number(value)) ? Number(value) : value);
  };

  // In the order of the format's own table (Python's pickletools).
  const opcodes: Readonly<Record<number, () => unknown>> = {
    0x4a: () => stack.push(view.getInt32(take(4), true)), // BININT
    0x4b: () => stack.push(uint8()),
    0x4d: () => stack.push(uint16()),
    0x8a: () => long(uint8()), // LONG1
    0x54: () => stack.push(latin1(raw(uint32()))), // BINSTRING, of Python 2
    0x55: () => stack.push(latin1(raw(uint8()))),
    0x42: () => stack.push(raw(uint32())), // BINBYTES
    0x43: () => stack.push(raw(uint8())),
    0x8e: () => stack.push(raw(uint64())),
    0x4e: () => stack.push(null),
    0x88: () => stack.push(true),
    0x89: () => stack.push(false),
    0x58: () => stack.push(text(uint32())), // BINUNICODE
    0x8c: () => stack.push(text(uint8())),
    0x8d: () => stack.push(text(uint64())),
    0x47: () => stack.push(view.getFloat64(take(8), false)), // BINFLOAT
    0x5d: () => stack.push([]),
    0x61: () => append(last(1)), // APPEND
    0x65: () => append(popToMark()),
    0x29: () => tuple([]),
    0x74: () => tuple(popToMark()),
    0x85: () => tuple(last(1)),
    0x86: () => tuple(last(2)),
    0x87: () => tuple(last(3)),
    0x7d: () => stack.push(new Map()),
    0x73: () => setItems(last(2)), // SETITEM
    0x75: () => setItems(popToMark()),
    0x30: () => pop(),
    0x28: () => marks.push(stack.length), // MARK
    0x31: () => popToMark(),
    0x68: () => recall(uint8()), // BINGET
    0x6a: () => recall(uint32()),
    0x71: () => memo.set(uint8(), top()), // BINPUT
    0x72: () => memo.set(uint32(), top()),
    0x94: () => memo.set(memo.size, top()),
    0x63: () => stack.push(resolve(`${line()}.${line()}`)), // GLOBAL
    0x93: () => stack.push(resolve(last(2).join("."))),
    0x52: call, // REDUCE
    0x81: call, // NEWOBJ
    0x62: () => [pop(), top()], // BUILD: the state is dropped, the object stays
    0x51: () => stack.push(persistent(pop())), // BINPERSID
    0x80: () => checkProtocol(uint8()),
    0x95: () => take(8), // FRAME
  };

  for (let count = 0;; count++) {
    const opcode = uint8();
    if (opcode === 0x2e) break; // STOP
    if (count === maxInstructions) throw new SyntaxError(`its pickle has more than ${maxInstructions} instructions`);
    const run = opcodes[opcode];
    if (!run) {
      throw new SyntaxError(`its pickle has an instruction 0x${opcode.toString(16)}, which weights do not need`);
    }
    run();
  }
  const value = pop();
  if (stack.length > 0 || marks.length > 0) throw new SyntaxError("its pickle leaves values behind");
  return { value, end: at };
}

function isGlobal(value: unknown, globals: PickleRules["globals"]): boolean {
  const { name } = (value ?? {}) as Partial<PickleGlobal>;
  return typeof name === "string" && globals.get(name) === value;
}

function checkProtocol(protocol: number): void {
  if (protocol > 5) throw new SyntaxError(`it is a pickle of protocol ${protocol}; those read are 2 to 5`);
}

const latin1 = (bytes: Uint8Array) => {
  if (bytes.length > maxTextLength) throw new SyntaxError(`its pickle holds a text of ${bytes.length} bytes`);
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
};
