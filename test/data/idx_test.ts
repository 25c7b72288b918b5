import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { parseIdx, readIdx } from "../../lib/data/idx.ts";

/** Two images of 2 × 3. */
const header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255];
const file = Uint8Array.from([...header, ...values]);

Deno.test("parseIdx gives the shape and the bytes in file order", () => {
  const { shape, values: read } = parseIdx(file, "images", 3);
  assertEquals(shape, [2, 2, 3]);
  assertEquals([...read], values);
  assertEquals(parseIdx(Uint8Array.from([0, 0, 8, 1, 0, 0, 0, 0]), "none", 1), {
    shape: [0],
    values: new Uint8Array(),
  });
});

Deno.test("parseIdx names the file and the fault in one sentence", () => {
  const cases: [string, Uint8Array, number, string][] = [
    [
      "an empty file",
      new Uint8Array(),
      3,
      "Cannot read F: it has 0 bytes, where an IDX file of unsigned bytes in 3 dimensions begins with 0x00000803; " +
      "replace the file",
    ],
    [
      "float32 in place of bytes",
      Uint8Array.from(file, (byte, i) => i === 2 ? 0x0D : byte),
      3,
      "Cannot read F: it begins with 0x00000d03, where an IDX file of unsigned bytes in 3 dimensions begins with " +
      "0x00000803; replace the file",
    ],
    [
      "images in place of labels",
      file,
      1,
      "Cannot read F: it begins with 0x00000803, where an IDX file of unsigned bytes in 1 dimension begins with " +
      "0x00000801; replace the file",
    ],
    [
      "a header cut short",
      file.slice(0, 10),
      3,
      "Cannot read F: its header ends after 10 of 16 bytes; replace the file",
    ],
    [
      "data cut short",
      file.slice(0, -1),
      3,
      "Cannot read F: its header says 2x2x3 = 12 bytes and 11 follow; replace the file",
    ],
    [
      "a count too small",
      Uint8Array.from(file, (byte, i) => i === 7 ? 1 : byte),
      3,
      "Cannot read F: its header says 1x2x3 = 6 bytes and 12 follow; replace the file",
    ],
  ];
  for (const [fault, bytes, dimensions, sentence] of cases) {
    assertEquals(assertThrows(() => parseIdx(bytes, "F", dimensions), Problem).message, sentence, fault);
  }
});

Deno.test("readIdx reads plain and gzipped files alike, whatever their names", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/plain`, file);
    await Deno.writeFile(`${folder}/packed`, await gzip(file));
    for (const name of ["plain", "packed"]) {
      const read = await readIdx(`${folder}/${name}`, 3);
      assertEquals([read.shape, [...read.values], read.bytes], [[2, 2, 3], values, file], name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readIdx names a missing file and a damaged gzip file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const packed = await gzip(file);
    await Deno.writeFile(`${folder}/short`, packed.slice(0, -9));
    await Deno.writeFile(`${folder}/damaged`, packed.map((byte, i) => i === packed.length - 6 ? byte ^ 1 : byte));
    for (const name of ["short", "damaged"]) {
      const { message } = await assertRejects(() => readIdx(`${folder}/${name}`, 3), Problem);
      assertEquals(message, `Cannot read ${folder}/${name}: its gzip data is damaged or cut short; replace the file`);
    }
    const { message } = await assertRejects(() => readIdx(`${folder}/absent`, 3), Problem);
    assert(message.startsWith(`Cannot read ${folder}/absent: `), message);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
