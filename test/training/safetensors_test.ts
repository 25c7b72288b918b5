import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Problem } from "../../lib/core/problem.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  readSafetensors,
  type StoredTensor,
  writeSafetensors,
} from "../../lib/training/safetensors.ts";

type Bytes = Uint8Array<ArrayBuffer>;
const foreign = { foreign: true };

/** A file as another program would write it: any header text, any data length. */
function file(header: string | Bytes, dataLength = 0, declared?: bigint): Bytes {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, declared ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}
const tensor = (fields: string) => `{"a":{${fields}}}`;
const f32 = (shape: string, offsets: string) => `"dtype":"F32","shape":${shape},"data_offsets":${offsets}`;
const named = (name: string) => `{${name}:{${f32("[1]", "[0,4]")}}}`;
const two = (a: string, b: string) => `{"a":{${f32("[1]", a)}},"b":{${f32("[1]", b)}}}`;
const good = tensor(f32("[1]", "[0,4]"));
const bytesOf = (...values: number[]) => Uint8Array.from(values) as Bytes;

const rejected: Record<string, Bytes> = {
  "empty": bytesOf(),
  "7 bytes": bytesOf(0, 0, 0, 0, 0, 0, 0),
  "length 0": bytesOf(0, 0, 0, 0, 0, 0, 0, 0),
  "length 0 with data": file("", 4),
  "length beyond the file": file(good, 4, 1000n),
  "length 2^63": file(good, 4, 1n << 63n),
  "length 2^64 - 1": file(good, 4, (1n << 64n) - 1n),
  "length above the cap": file(good, 4, 10_000_001n),
  "length one short": file(good, 4, BigInt(good.length - 1)),
  "length one long": file(good, 4, BigInt(good.length + 1)),
  "length big-endian": file(good, 4, BigInt(good.length) << 56n),
  "{} and a byte": file("{}", 1),
  "array": file("[]"),
  "null": file("null"),
  "trailing NUL": file("{}\0"),
  "byte order mark": file("\ufeff{}"),
  "two documents": file("{}{}"),
  "bad UTF-8": file(bytesOf(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x7b, 0x7d, 0x7d)),
  "lone surrogate": file(named('"\\ud800"'), 4),
  "comment": file(`{/* */${good.slice(1)}`, 4),
  "trailing comma": file(`${good.slice(0, -1)},}`, 4),
  "NaN literal": file(tensor(f32("[NaN]", "[0,4]")), 4),
  "nesting of 10,000": file(`{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}`),
  "duplicate dtype": file(tensor(`"dtype":"F32",${f32("[1]", "[0,4]")}`), 4),
  "duplicate metadata": file(`{"__metadata__":{},"__metadata__":{}}`),
  "metadata number": file(`{"__metadata__":{"a":1}}`),
  "metadata nested": file(`{"__metadata__":{"a":{"b":"c"}}}`),
  "metadata list": file(`{"__metadata__":[]}`),
  "metadata null": file(`{"__metadata__":null}`),
  "metadata key twice": file(`{"__metadata__":{"a":"1","a":"2"}}`),
  "unknown dtype": file(good.replace("F32", "F33"), 4),
  "lower-case dtype": file(good.replace("F32", "f32"), 4),
  "integer dtype": file(good.replace("F32", "I32"), 4),
  "dtype of the prototype": file(good.replace("F32", "constructor"), 4),
  "dtype missing": file(tensor(`"shape":[1],"data_offsets":[0,4]`), 4),
  "shape missing": file(tensor(`"dtype":"F32","data_offsets":[0,4]`), 4),
  "offsets missing": file(tensor(`"dtype":"F32","shape":[1]`), 4),
  "shape negative": file(tensor(f32("[-1]", "[0,4]")), 4),
  "shape minus zero": file(tensor(f32("[-0]", "[0,0]"))),
  "shape 2.0": file(tensor(f32("[2.0]", "[0,8]")), 8),
  "shape 1e1": file(tensor(f32("[1e1]", "[0,40]")), 40),
  "shape 01": file(tensor(f32("[01]", "[0,4]")), 4),
  "shape text": file(tensor(f32(`["2"]`, "[0,8]")), 8),
  "shape beyond 2^64": file(tensor(f32("[4294967296,4294967296,4294967296]", "[0,4]")), 4),
  "shape times 4 beyond 2^64": file(tensor(f32("[4611686018427387904]", "[0,4]")), 4),
  "shape wraps to 4 bytes": file(tensor(f32("[4294967296,1073741824,4]", "[0,4]")), 4),
  "shape unsafe integer": file(tensor(f32("[9007199254740993,0]", "[0,0]"))),
  "rank 1000": file(tensor(f32(`[${Array(1000).fill(1)}]`, "[0,4]")), 4),
  "offsets mismatch": file(tensor(f32("[2]", "[0,4]")), 4),
  "offsets reversed": file(tensor(f32("[1]", "[4,0]")), 4),
  "offsets negative": file(tensor(f32("[1]", "[-4,0]")), 4),
  "offsets float": file(tensor(f32("[1]", "[0.0,4.0]")), 4),
  "offsets exponent": file(tensor(f32("[1]", "[0,4e0]")), 4),
  "offsets of three": file(tensor(f32("[1]", "[0,4,4]")), 4),
  "offsets of one": file(tensor(f32("[1]", "[4]")), 4),
  "offsets past the end": file(tensor(f32("[2]", "[0,8]")), 4),
  "offsets 2^64": file(tensor(f32("[1]", "[0,18446744073709551616]")), 4),
  "overlap, same bytes": file(two("[0,4]", "[0,4]"), 4),
  "overlap, partial": file(two("[0,4]", "[2,6]"), 6),
  "hole": file(two("[0,4]", "[8,12]"), 12),
  "start at 4": file(tensor(f32("[1]", "[4,8]")), 8),
  "trailing bytes": file(good, 5),
  "one byte short": file(good, 3),
  "empty tensor in the middle": file(`{"a":{${f32("[1]", "[0,4]")}},"b":{${f32("[0]", "[2,2]")}}}`, 4),
  "zip tail": new Uint8Array([...file(good, 4), ...new TextEncoder().encode("PK\x05\x06")]),
  "leading blank": file(` ${good}`, 4),
  "duplicate tensor": file(`{"a":{${f32("[1]", "[0,4]")}},"a":{${f32("[1]", "[0,4]")}}}`, 4),
  "extra field": file(tensor(`${f32("[1]", "[0,4]")},"x":"y"`), 4),
  "empty name": file(named(`""`), 4),
  "path as name": file(named(`"../../x"`), 4),
  "absolute path as name": file(named(`"/etc/x"`), 4),
  "NUL in name": file(named(`"a\\u0000"`), 4),
  "name of 1 MB": file(named(`"${"a".repeat(1 << 20)}"`), 4),
  "100,000 empty tensors": file(
    `{${Array.from({ length: 100_000 }, (_, i) => `"${i}":{${f32("[0]", "[0,0]")}}`).join()}}`,
  ),
  "raw control character in text": file(`{"__metadata__":{"a":"\u0001"}}`),
  "text without its end": file(`{"a`),
};

Deno.test("decodeSafetensors() refuses every malformed file of the corpus with a Problem naming the file", async (t) => {
  for (const [name, bytes] of Object.entries(rejected)) {
    await t.step(name, () => {
      const problem = assertThrows(() => decodeSafetensors(bytes, "w.safetensors", foreign), Problem);
      assertStringIncludes(problem.message, "w.safetensors");
      assertEquals(problem.exitCode, 74);
      assert(problem.message.length < 400, "one readable sentence");
    });
  }
});

Deno.test("decodeSafetensors() takes every well-formed file of another program, and refuses it without `foreign`", async (t) => {
  const accepted: Record<string, [Bytes, number]> = {
    "valid": [file(good, 4), 1],
    "no tensors": [file("{}"), 0],
    "metadata alone": [file(`{"__metadata__":{"a":"b","__proto__":"c"}}`), 0],
    "trailing blanks": [file(`${good}  \n\t`, 4), 1],
    "blanks between tokens": [file(`{ "a" : { "dtype" : "F32", "shape" : [ 1 ], "data_offsets" : [ 0 , 4 ] } }`, 4), 1],
    "rank 0": [file(tensor(f32("[]", "[0,4]")), 4), 1],
    "zero dimension": [file(tensor(f32("[3,0]", "[0,0]"))), 1],
    "out of order but tiled": [file(two("[4,8]", "[0,4]"), 8), 2],
    "empty tensor sharing an end": [file(`{"a":{${f32("[1]", "[0,4]")}},"b":{${f32("[0]", "[4,4]")}}}`, 4), 2],
    "__proto__ as a name": [file(named(`"__proto__"`), 4), 1],
    "escaped name": [file(named(`"\\u00e9\\""`), 4), 1],
  };
  for (const [name, [bytes, count]] of Object.entries(accepted)) {
    await t.step(name, () => {
      assertEquals(decodeSafetensors(bytes, "w", foreign).tensors.size, count);
      assertThrows(() => decodeSafetensors(bytes, "w"), Problem, "another program wrote it");
    });
  }
});

const sample = (): [string, StoredTensor][] => [
  ["blocks.0.weight", { shape: [2, 3], data: Float32Array.of(1, -2, 3.5, NaN, Infinity, -0) }],
  ["__proto__", { shape: [], data: Float32Array.of(1e-40) }],
  ["empty", { shape: [0, 4], data: new Float32Array(0) }],
];

Deno.test("readSafetensors() gives back what writeSafetensors() wrote, bit for bit, and the same bytes again", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/new/w.safetensors`;
  const metadata = { step: "12", "1": "integer-like", "__proto__": "own", "ключ": "значение" };
  await writeSafetensors(path, sample(), metadata);
  const read = await readSafetensors(path);
  assertEquals([...read.tensors.keys()], sample().map(([name]) => name));
  for (const [name, { shape, data }] of sample()) {
    const stored = read.tensors.get(name)!;
    assertEquals(stored.shape, shape);
    assertEquals(bits(stored.data), bits(data));
  }
  assertEquals(Object.entries(read.metadata).sort(), Object.entries(metadata).sort());
  assertEquals(encodeSafetensors(sample(), metadata), await Deno.readFile(path));
  assertEquals([...Deno.readDirSync(`${folder}/new`)].map((entry) => entry.name), ["w.safetensors"]);
  await Deno.remove(folder, { recursive: true });
});

const bits = (data: Float32Array) => [...new Uint32Array(data.slice().buffer)];

Deno.test("readSafetensors() refuses every truncation of a file, every flipped bit pattern, and a longer file", () => {
  const bytes = encodeSafetensors(sample(), { step: "3" });
  for (let length = 0; length < bytes.length; length++) {
    for (const options of [{}, foreign]) {
      assertThrows(() => decodeSafetensors(bytes.slice(0, length), "w", options), Problem, undefined);
    }
  }
  for (let at = 0; at < bytes.length; at++) {
    for (const mask of [0x01, 0x20, 0x80, 0xff]) {
      const flipped = bytes.slice();
      flipped[at]! ^= mask;
      assertThrows(() => decodeSafetensors(flipped, "w"), Problem);
    }
  }
  assertThrows(() => decodeSafetensors(new Uint8Array([...bytes, 0]), "w"), Problem);
});

Deno.test("decodeSafetensors() converts F16, BF16 and F64 to float32, at any alignment", () => {
  const cases: [string, number[], number[]][] = [
    ["F16", [0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc], [1, 2 ** -24, -Infinity]],
    ["BF16", [0x80, 0x3f, 0x49, 0xc0, 0x80, 0x00], [1, -3.140625, 2 ** -126]],
    ["F64", [...new Uint8Array(Float64Array.of(1 / 3, -1e300, 2).buffer)], [Math.fround(1 / 3), -Infinity, 2]],
    ["F32", [...new Uint8Array(Float32Array.of(1 / 3, -0, 2).buffer)], [Math.fround(1 / 3), -0, 2]],
  ];
  for (const [dtype, data, expected] of cases) {
    for (let pad = 0; pad < 8; pad++) {
      const header = `{"a":{"dtype":"${dtype}","shape":[3],"data_offsets":[0,${data.length}]}}${" ".repeat(pad)}`;
      const bytes = file(header, data.length);
      bytes.set(data, bytes.length - data.length);
      assertEquals([...decodeSafetensors(bytes, "w", foreign).tensors.get("a")!.data], expected);
    }
  }
});

Deno.test("encodeSafetensors() refuses what no reader should meet", () => {
  const one = { shape: [1], data: new Float32Array(1) };
  assertThrows(() => encodeSafetensors([["a", one], ["a", one]]), TypeError, "two tensors");
  assertThrows(() => encodeSafetensors([["a", { shape: [2], data: new Float32Array(1) }]]), TypeError, "does not hold");
  assertThrows(() => encodeSafetensors([["../a", one]]), SyntaxError, "path");
  assertThrows(() => encodeSafetensors([["\ud800", one]]), SyntaxError, "surrogates");
  assertThrows(() => encodeSafetensors([["a", one]], { sha256: "0" }), TypeError, "writer's own");
  assertThrows(() => encodeSafetensors([["a", one]], { note: "\udfff" }), TypeError, "surrogate");
});

Deno.test("decodeSafetensors() answers mutated headers with a result or a Problem, never another error", () => {
  const start = [good, two("[0,4]", "[4,8]"), `{"__metadata__":{"a":"b"},${good.slice(1)}`];
  const edit = fc.record({
    at: fc.nat(200),
    remove: fc.nat(3),
    insert: fc.constantFrom(...`{}[]",:\\ 0-9.eE`, "null", "\\u", "é"),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...start),
      fc.array(edit, { minLength: 1, maxLength: 4 }),
      fc.nat(12),
      (base, edits, data) => {
        const text = edits.reduce(
          (s, e) => s.slice(0, e.at % s.length) + e.insert + s.slice(e.at % s.length + e.remove),
          base,
        );
        try {
          decodeSafetensors(file(text, data), "w", foreign);
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
        }
      },
    ),
    { numRuns: 10_000, seed: 603 },
  );
});

Deno.test("readSafetensors() says that a file does not exist", async () => {
  const problem = await assertRejects(() => readSafetensors("/nowhere/w.safetensors"), Problem, "does not exist");
  assertEquals(problem.exitCode, 2);
});
