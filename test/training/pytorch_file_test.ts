import { assert, assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { Problem } from "../../lib/core/problem.ts";
import { decodePyTorchFile, type PyTorchOptions, readPyTorchFile } from "../../lib/training/pytorch_file.ts";
import type { RandomAccess } from "../../lib/training/zip.ts";
import expected from "../fixtures/pytorch/expected.json" with { type: "json" };

const fixture = (name: string) => new URL(`../fixtures/pytorch/${name}`, import.meta.url).pathname;

/** What these bytes give as a file. */
function decode(bytes: Uint8Array, options: PyTorchOptions = {}) {
  const file: RandomAccess = {
    size: bytes.length,
    read: (start, length) => {
      if (start + length > bytes.length) throw new SyntaxError("it is cut short");
      return Promise.resolve(Uint8Array.from(bytes.subarray(start, start + length)));
    },
  };
  return decodePyTorchFile(file, "w.pt", options);
}

for (const name of ["zip.pt", "protocol4.pt", "legacy.pt"]) {
  Deno.test(`readPyTorchFile() gives every tensor that torch saved in ${name}, by its joined keys and in its order`, async () => {
    const tensors = await readPyTorchFile(fixture(name));
    assertEquals([...tensors.keys()], Object.keys(expected));
    for (const [key, { dtype, shape, data }] of Object.entries(expected)) {
      const tensor = tensors.get(key)!;
      assertEquals({ ...tensor, data: [...tensor.data] }, { dtype, shape, data: data.map(Math.fround) }, key);
    }
  });
}

Deno.test("readPyTorchFile() shares the memory of tied tensors and of contiguous views", async () => {
  const tensors = await readPyTorchFile(fixture("zip.pt"));
  assertStrictEquals(tensors.get("tied.0")!.data.buffer, tensors.get("tied.1")!.data.buffer);
  assertStrictEquals(tensors.get("views.base")!.data.buffer, tensors.get("views.row")!.data.buffer);
});

Deno.test("readPyTorchFile() reads only the kept tensors, so that another's damage is not met", async () => {
  const intact = await Deno.readFile(fixture("zip.pt"));
  const at = indexOf(intact, new Uint8Array(Float32Array.of(7.25).buffer));
  const damaged = flip(intact, at, 1);
  await assertRejects(() => decode(damaged), Problem, "does not match its checksum");
  const watched: [number, number][] = [];
  const watch = (done: number, total: number) => void watched.push([done, total]);
  const tensors = await decode(damaged, { keep: (name) => name.startsWith("tied."), watch });
  assertEquals([...tensors.keys()], ["tied.0", "tied.1"]);
  assertEquals(watched, [[8, 8]]);
});

Deno.test("readPyTorchFile() reads archives with the wide fields of files above 4 GB", async () => {
  assertEquals([...(await readPyTorchFile(fixture("zip64.pt"))).get("w")!.data], [1, 2]);
});

Deno.test("readPyTorchFile() refuses in one sentence what is not plain weights", async (t) => {
  const refused: Record<string, string> = {
    "command.pt": `it asks for "posix.system", which weights do not need; nothing of it was run`,
    "command-legacy.pt": `it asks for "posix.system"`,
    "module.pt": `it asks for "torch.nn.modules.linear.Linear"`,
    "expanded.pt":
      "a tensor of shape [1099511627776] with offset 0 and strides [0] does not fit its storage of 1 numbers",
    "inexact.pt": `its tensor "w" (int64) holds 16777217, which float32 would round`,
    "deflated.pt": "is compressed in another way than this kind of file is, or encrypted",
    "make.py": "it begins neither as a zip archive nor as a pickle",
  };
  for (const [name, message] of Object.entries(refused)) {
    await t.step(name, async () => {
      const problem = await assertRejects(() => readPyTorchFile(fixture(name)), Problem, message);
      assertStringIncludes(problem.message, `${name} as a PyTorch file`);
      assertEquals(problem.exitCode, 74);
    });
  }
  const missing = await assertRejects(() => readPyTorchFile(fixture("nowhere.pt")), Problem, "does not exist");
  assertEquals(missing.exitCode, 2);
});

// Pickles by hand, wrapped as the old format: the number, the version, the machine, then the object.
const latin1 = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const opening = "\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\r\0\0\0little_endian\x88s.";
const legacy = (object: string, storages = "]", rest = "") =>
  latin1(`${opening}\x80\x02${object}.\x80\x02${storages}.${rest}`);
const text = (value: string) => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
const storage = (length: string, key = "0", type = "torch\nFloatStorage") =>
  `(${text("storage")}c${type}\n${text(key)}${text("cpu")}${length}NtQ`;
const tensor = (view: string, of = storage("K\x04")) => `ctorch._utils\n_rebuild_tensor_v2\n(${of}${view}\x89NtR`;
const named = (value: string) => `}${text("w")}${value}s`;
const keys = `]${text("0")}a`;
const four = `\x04${"\0".repeat(7)}${"\0\0\x80\x3f".repeat(4)}`;

Deno.test("readPyTorchFile() refuses hostile pickles with a Problem, before they cost memory or time", async (t) => {
  const plain = named(tensor("K\0K\x04\x85K\x01\x85"));
  const index = (i: number) => String.fromCharCode(i);
  const laughs = Array.from({ length: 30 }, (_, i) => `0](h${index(i)}h${index(i)}eq${index(i + 1)}`).join("");
  const corpus: Record<string, [Uint8Array, string]> = {
    "eval": [legacy(named(`c__builtin__\neval\n${text("1")}\x85R`)), `asks for "__builtin__.eval"`],
    "eval by a global from the stack": [legacy(`${text("builtins")}${text("eval")}\x93`), `asks for "builtins.eval"`],
    "a name of the prototype": [legacy("c__proto__\nconstructor\n"), `asks for "__proto__.constructor"`],
    "a name with a line break": [legacy(`${text("os\nsystem")}${text("x")}\x93`), `asks for "os\\nsystem.x"`],
    "calling a type": [legacy("ctorch\nFloatStorage\n)R"), "calls torch.FloatStorage"],
    "calling text": [legacy(`${text("x")})R`), "calls what is no function"],
    "calling with no tuple": [legacy("ccollections\nOrderedDict\nK\x01R"), "no list of arguments"],
    "dictionary of no pairs": [legacy("ccollections\nOrderedDict\n(K\x01tR"), "of what is no pairs"],
    "instance opcode": [legacy("(ios\nsystem\n"), "instruction 0x69"],
    "extension code": [legacy("\x82\x01"), "instruction 0x82"],
    "stack runs dry": [legacy("0"), "takes more values than it made"],
    "reaching below a mark": [legacy("K\x01(0"), "takes more values than it made"],
    "no mark": [legacy("t"), "never began"],
    "memo never made": [legacy("h\x07"), "recalls an object 7"],
    "values left over": [legacy("K\x01K\x02"), "leaves values behind"],
    "text longer than the file": [legacy("X\xff\xff\x0e\0a"), "ends too early"],
    "text of 4 GB": [legacy("X\xff\xff\xff\xffa"), "a text of 4294967295 bytes"],
    "integer of 1 GB": [legacy("\x8a\xffa"), "an integer of 255 bytes"],
    "text that is not UTF-8": [legacy("X\x01\0\0\0\xff"), "not UTF-8"],
    "appending to a tuple": [legacy(")K\x01a"), "no list"],
    "appending to a dictionary": [legacy("}K\x01a"), "no list"],
    "setting an item of a list": [legacy("]K\x01K\x01s"), "no dictionary"],
    "a list that contains itself": [legacy("]q\0h\0a"), "contain themselves"],
    "a billion laughs": [legacy(`]q\0${laughs}`), "contain themselves"],
    "two million empty dictionaries": [legacy(`(${"}".repeat(2_000_000)}t`), "more than 1000000 instructions"],
    "no tensors": [legacy(`}${text("step")}K\x01s`), "holds no named tensors"],
    "a tensor without a name": [legacy(tensor("K\0K\x04\x85K\x01\x85"), keys, four), "holds no named tensors"],
    "two tensors of one name": [
      legacy(`}(${text("a.b")}${tensor("K\0))")}${text("a")}}${text("b")}${tensor("K\0))")}su`, keys, four),
      `two of its tensors are named "a.b"`,
    ],
    "a key that is no name": [legacy(`})${tensor("K\0))")}s`, keys, four), "neither text nor a number"],
    "view beyond its storage": [legacy(named(tensor("K\x01K\x04\x85K\x01\x85")), keys, four), "does not fit"],
    "negative offset": [
      legacy(named(tensor("J\xff\xff\xff\xffK\x04\x85K\x01\x85")), keys, four),
      "what is not a storage",
    ],
    "negative stride": [
      legacy(named(tensor("K\x03K\x04\x85J\xff\xff\xff\xff\x85")), keys, four),
      "what is not a storage",
    ],
    "stride that wraps": [
      legacy(named(tensor("K\0K\x02\x85\x8a\x08\0\0\0\0\0\0\0\x40\x85")), keys, four),
      "what is not a storage",
    ],
    "shape and strides of unequal rank": [legacy(named(tensor("K\0K\x04\x85)")), keys, four), "what is not a storage"],
    "a tensor of no storage": [legacy(named(tensor("K\0))", "K\x01")), keys, four), "what is not a storage"],
    "negative length": [legacy(named(tensor("K\0))", storage("J\xff\xff\xff\xff")))), "no plain storage"],
    "a storage of no type": [legacy(named(tensor("K\0))", storage("K\x04", "0", "torch\nSize")))), "no plain storage"],
    "length beyond the file": [legacy(plain, keys, `\x04${"\0".repeat(7)}\0\0`), "cut short"],
    "length other than in the pickle": [legacy(plain, keys, `\x05${four.slice(1)}\0\0\0\0`), "has size 5"],
    "bytes after the last storage": [legacy(plain, keys, `${four}\0`), "cut short or damaged"],
    "storage that is not listed": [legacy(plain), `storage "0" is missing`],
    "storage listed twice": [legacy(plain, `${keys}${text("0")}a`, four + four), "that nothing uses"],
    "two sizes of one storage": [
      legacy(
        `}(${text("a")}${tensor("K\0))")}${text("b")}${tensor("K\0))", storage("K\x03"))}u`,
        keys,
        `\x03${four.slice(1, -4)}`,
      ),
      "has size",
    ],
    "another byte order": [latin1(opening.replace("\x88s.", "\x89s.") + "\x80\x02}.\x80\x02]."), "byte order"],
    "another pickle": [latin1("\x80\x02K\x01."), "does not begin with PyTorch's number"],
    "empty": [new Uint8Array(0), "begins neither"],
    "zip without its end": [latin1("PK\x03\x04"), "cut short"],
    "zip of nothing": [latin1(`PK\x05\x06${"\0".repeat(18)}`), "without the data.pkl"],
  };
  assertEquals([...(await decode(legacy(plain, keys, four))).get("w")!.data], [1, 1, 1, 1]);
  for (const [name, [bytes, message]] of Object.entries(corpus)) {
    await t.step(name, async () => {
      const problem = await assertRejects(() => decode(bytes), Problem, message);
      assert(problem.message.length < 400, "one readable sentence");
    });
  }
});

Deno.test("readPyTorchFile() refuses every truncation, and notices every changed number of a zip file", async () => {
  for (const name of ["zip64.pt", "legacy.pt"]) {
    const intact = await Deno.readFile(fixture(name));
    for (let length = 0; length < intact.length; length++) {
      await assertRejects(() => decode(intact.slice(0, length)), Problem);
    }
  }
  const intact = await Deno.readFile(fixture("zip64.pt"));
  for (let at = 0; at < intact.length; at++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      try {
        assertEquals([...(await decode(flip(intact, at, mask))).get("w")!.data], [1, 2]);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
      }
    }
  }
});

Deno.test("readPyTorchFile() answers mutated files with a result or a Problem, never another error", async () => {
  const start = await Promise.all(
    ["legacy.pt", "protocol4.pt", "command-legacy.pt"].map((name) => Deno.readFile(fixture(name))),
  );
  const edit = fc.record({ at: fc.nat(4000), byte: fc.integer({ min: 0, max: 255 }), remove: fc.nat(2) });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...start),
      fc.array(edit, { minLength: 1, maxLength: 4 }),
      async (base, edits) => {
        const bytes = [...base];
        for (const { at, byte, remove } of edits) bytes.splice(at % bytes.length, remove, byte);
        try {
          await decode(Uint8Array.from(bytes));
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
        }
      },
    ),
    { numRuns: 5000, seed: 603 },
  );
});

function flip(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const flipped = bytes.slice();
  flipped[at]! ^= mask;
  return flipped;
}

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  return bytes.findIndex((_, i) => part.every((byte, j) => bytes[i + j] === byte));
}
