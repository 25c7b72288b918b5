import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { readNpz } from "../../lib/metrics/npz.ts";

const fixture = (name: string) => new URL(`../fixtures/npz/${name}`, import.meta.url).pathname;

/** Reads `names` from a file of these bytes. */
async function readBytes(bytes: Uint8Array, names: string[]) {
  const path = await Deno.makeTempFile({ suffix: ".npz" });
  try {
    await Deno.writeFile(path, bytes);
    return await readNpz(path, names);
  } finally {
    await Deno.remove(path);
  }
}

for (const name of ["stored.npz", "deflated.npz"]) {
  Deno.test(`readNpz() reads numbers of every shape, type and memory order from ${name}`, async () => {
    const names = ["double", "single", "columns", "scalar", "empty"] as const;
    const { double, single, columns, scalar, empty } = await readNpz(fixture(name), names);
    assertEquals(double, { shape: [2, 3], data: Float64Array.from({ length: 6 }, (_, i) => i / 7) });
    assertEquals(single, { shape: [3], data: Float64Array.of(0.5, -1.25, Math.fround(3e30)) });
    assertEquals(columns, { shape: [2, 3, 4], data: Float64Array.from({ length: 24 }, (_, i) => i) });
    assertEquals(scalar, { shape: [], data: Float64Array.of(2.5) });
    assertEquals(empty, { shape: [0, 3], data: new Float64Array() });
  });

  Deno.test(`readNpz() refuses objects, other types and missing arrays of ${name} in one sentence`, async (t) => {
    const refused: Record<string, string> = {
      objects: "its array objects holds Python objects, which are never read",
      whole: "its array whole has type <i8; those read are <f8 and <f4",
      big_endian: "its array big_endian has type >f8",
      mu: "it has no array mu, but double, single, columns, scalar, empty, whole, big_endian, objects",
    };
    for (const [array, sentence] of Object.entries(refused)) {
      await t.step(array, async () => {
        const { message, exitCode } = await assertRejects(() => readNpz(fixture(name), [array]), Problem);
        assertStringIncludes(message, `Cannot use ${fixture(name)} as a NumPy archive: ${sentence}`);
        assertEquals(exitCode, 74);
      });
    }
  });
}

Deno.test("readNpz() believes no header that lies, and runs none", async (t) => {
  const refused: Record<string, string> = {
    longer: "its array longer of shape [3] has 16 bytes instead of 24",
    shorter: "its array shorter of shape [1] has 16 bytes instead of 8",
    huge: "its array huge of shape [999999999,999999999] has 16 bytes instead of",
    negative: "its array negative has a header that is no plain array's",
    code: "its array code has a header that is no plain array's",
    text: "its array text is not in NumPy's format",
    cut: "its array cut is cut short",
  };
  for (const [name, sentence] of Object.entries(refused)) {
    await t.step(name, async () => {
      const { message } = await assertRejects(() => readNpz(fixture("hostile.npz"), [name]), Problem);
      assertStringIncludes(message, sentence);
    });
  }
});

Deno.test("readNpz() says of every cut and of every changed byte that matters that the file is damaged", async () => {
  const intact = await Deno.readFile(fixture("deflated.npz"));
  const expected = await readBytes(intact, ["double"]);
  for (let length = 0; length < intact.length; length += 7) {
    await assertRejects(() => readBytes(intact.subarray(0, length), ["double"]), Problem);
  }
  let noticed = 0;
  for (let at = 0; at < intact.length; at += 3) {
    const damaged = intact.slice();
    damaged[at]! ^= 0x10;
    // A byte of another array, or of a date, changes nothing; all others are noticed: no wrong number comes out.
    const result = await readBytes(damaged, ["double"]).catch((error) => error);
    if (result instanceof Problem) noticed++;
    else assertEquals(result, expected, `byte ${at}`);
  }
  assert(noticed > 50, `${noticed} changes were noticed`);
});

Deno.test("readNpz() does not unpack more than a directory says, nor more than a covariance needs", async () => {
  const intact = await Deno.readFile(fixture("deflated.npz"));
  const entry = indexOf(intact, Uint8Array.of(0x50, 0x4b, 1, 2)), view = new DataView(intact.buffer);
  assertEquals(new TextDecoder().decode(intact.subarray(entry + 46, entry + 56)), "double.npy");
  for (const [length, sentence] of [[600_000_000, "has 600000000 bytes"], [8, "cannot be decompressed"]] as const) {
    view.setUint32(entry + 24, length, true);
    const { message } = await assertRejects(() => readBytes(intact, ["double"]), Problem);
    assertStringIncludes(message, sentence);
  }
});

Deno.test("readNpz() says that a file is missing or is no archive", async () => {
  const missing = await assertRejects(() => readNpz("no/such.npz", ["mu"]), Problem);
  assertEquals([missing.message, missing.exitCode], ["Cannot read no/such.npz: it does not exist", 2]);
  await assertRejects(() => readBytes(new Uint8Array(100), ["mu"]), Problem, "it has no zip directory at its end");
});

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  return bytes.findIndex((_, i) => part.every((byte, k) => bytes[i + k] === byte));
}
