import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Problem } from "../../../lib/core/problem.ts";
import { readAt, readTarIndex } from "../../../lib/data/imagenet/tar.ts";
import { concat } from "../../concat.ts";
import { tar, text } from "./small_imagenet.ts";

/** Reads an archive of these bytes, and each member's contents. */
function index(archive: Uint8Array): [string, string][] {
  const path = Deno.makeTempFileSync({ suffix: ".tar" });
  try {
    Deno.writeFileSync(path, archive);
    using file = Deno.openSync(path);
    return readTarIndex(path, file).map(({ name, offset, size }) => [
      name,
      new TextDecoder().decode(readAt(file, offset, size)),
    ]);
  } finally {
    Deno.removeSync(path);
  }
}

const pax = (records: string) => ["pax", text(records), "x"] as const;
const good = tar([["a/b.jpg", text("one")], ["a/", new Uint8Array(), "5"], ["c.cls", text("17")], ["d", text("")]]);

Deno.test("readTarIndex() finds every regular file and passes over folders", () => {
  assertEquals(index(good), [["a/b.jpg", "one"], ["c.cls", "17"], ["d", ""]]);
});

Deno.test("readTarIndex() reads pax headers with times, as WebDataset writes them, and long names", () => {
  const long = `${"folder/".repeat(20)}name.jpg`;
  const record = ` path=${long}\n`, length = record.length + 3;
  assertEquals(
    index(tar([pax("20 mtime=1700000.25\n"), ["a.jpg", text("1")], pax(`${length}${record}`), ["b", text("2")]])),
    [["a.jpg", "1"], [long, "2"]],
  );
});

Deno.test("readTarIndex() reads what tar itself writes", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/x.jpg`, "1234");
    for (const format of ["ustar", "pax", "gnu"]) {
      const args = [`--format=${format}`, "-cf", `${folder}/t.tar`, "-C", folder, "x.jpg"];
      const { success } = await new Deno.Command("tar", { args, stderr: "null" }).output()
        .catch(() => ({ success: false }));
      if (success) assertEquals(index(await Deno.readFile(`${folder}/t.tar`)), [["x.jpg", "1234"]], format);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const hostile: readonly (readonly [string, Uint8Array, string])[] = [
  ["a path out of the archive", tar([["a/../../x", text("1")]]), "points out of the archive"],
  ["an absolute path", tar([["/etc/passwd", text("1")]]), "points out of the archive"],
  ["a symbolic link", tar([["a", new Uint8Array(), "2"]]), "is no regular file (type 2)"],
  ["a hard link", tar([["a", new Uint8Array(), "1"]]), "is no regular file (type 1)"],
  ["a device", tar([["a", new Uint8Array(), "3"]]), "is no regular file (type 3)"],
  ["a name that occurs twice", tar([["a", text("1")], ["a", text("2")]]), "a occurs twice"],
  ["a sparse file", tar([pax("22 GNU.sparse.major=1\n"), ["a", text("1")]]), "sets GNU.sparse.major"],
  ["a size in a pax header", tar([pax("11 size=99\n"), ["a", text("1")]]), "sets size"],
  ["no end", good.subarray(0, -1024), "it is cut short: a tar archive ends with two empty blocks"],
  ["a member that is cut", tar([["a", new Uint8Array(5000)]]).subarray(0, 1536), "it is cut short within a"],
  ["a wrong checksum", good.with(0, 66), "the header at byte 0 is damaged"],
  ["nothing in it", new Uint8Array(), "it is cut short"],
];

for (const [name, archive, words] of hostile) {
  Deno.test(`readTarIndex() refuses an archive with ${name}`, () => {
    assertThrows(() => index(archive), Problem, words);
  });
}

Deno.test("readTarIndex() gives an answer or a Problem for any damage to an archive", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 5 }), (changes) => {
      const bytes = concat([good]);
      for (const [at, value] of changes) bytes[at] = value;
      try {
        index(bytes);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
      }
    }),
    { numRuns: 100 },
  );
});
