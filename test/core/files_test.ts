import { assert, assertEquals, assertRejects } from "@std/assert";
import { readText, requireWritable, writeFileAtomic } from "../../lib/core/files.ts";
import { Problem } from "../../lib/core/problem.ts";

Deno.test("writeFileAtomic() writes text and bytes whole, makes the folder, and leaves nothing else", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/a/b/figures.json`;
  await writeFileAtomic(path, "old\n");
  await writeFileAtomic(path, "new é\n");
  assertEquals(await readText(path), "new é\n");
  const bytes = Uint8Array.from({ length: 3_000_000 }, (_, i) => i % 251);
  await writeFileAtomic(path, bytes);
  assertEquals(await Deno.readFile(path), bytes);
  assertEquals([...Deno.readDirSync(`${folder}/a/b`)].map((entry) => entry.name), ["figures.json"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("writeFileAtomic() removes what killed writers left in the folder, no other's file and none that may be in use", async () => {
  const folder = await Deno.makeTempDir(), long = new Date(Date.now() - 2 * 3_600_000);
  for (const name of ["chunk.bin.0123abcd.tmp", "notes.tmp", "figures.json"]) {
    await Deno.writeTextFile(`${folder}/${name}`, "half");
    await Deno.utime(`${folder}/${name}`, long, long);
  }
  await Deno.writeTextFile(`${folder}/order.bin.89abcdef.tmp`, "half");
  await writeFileAtomic(`${folder}/x`, "whole");
  const left = [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
  assertEquals(left, ["figures.json", "notes.tmp", "order.bin.89abcdef.tmp", "x"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("writeFileAtomic() shows a reader the old content or the new, never a mixture", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/x`;
  const contents = ["a", "b"].map((letter) => letter.repeat(200_000));
  await writeFileAtomic(path, contents[0]!);
  let writing = true;
  const writer = (async () => {
    for (let i = 1; i <= 40; i++) await writeFileAtomic(path, contents[i % 2]!);
    writing = false;
  })();
  let reads = 0;
  while (writing) {
    assert(contents.includes(await Deno.readTextFile(path)), "a torn read");
    reads++;
  }
  await writer;
  assert(reads > 0);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("writeFileAtomic() that fails names the path, keeps the old file, removes its own and leaves with 74", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/plain`, "x");
  const below = await assertRejects(() => writeFileAtomic(`${folder}/plain/y`, "z"), Problem, `${folder}/plain/y`);
  assertEquals([below.exitCode, below.message.includes("\n")], [74, false]);
  await Deno.mkdir(`${folder}/taken/inside`, { recursive: true });
  const onFolder = await assertRejects(() => writeFileAtomic(`${folder}/taken`, "z"), Problem, `${folder}/taken`);
  assertEquals(onFolder.exitCode, 74);
  assertEquals([...Deno.readDirSync(folder)].map((entry) => entry.name).sort(), ["plain", "taken"]);
  assertEquals(await readText(`${folder}/plain`), "x");
  await Deno.remove(folder, { recursive: true });
});

Deno.test({
  name: "writeFileAtomic() that can write only a part keeps the old file and removes the part",
  ignore: Deno.build.os !== "linux", // the shell's limit on file sizes stands for a full disk
  async fn() {
    const script = `
      import { writeFileAtomic } from "${import.meta.resolve("../../lib/core/files.ts")}";
      const folder = Deno.makeTempDirSync();
      await writeFileAtomic(folder + "/x", "old");
      let code = 0;
      try { await writeFileAtomic(folder + "/x", new Uint8Array(8e6)); } catch (error) { code = error.exitCode; }
      console.log(code, Deno.readTextFileSync(folder + "/x"), [...Deno.readDirSync(folder)].length);
      Deno.removeSync(folder, { recursive: true });`;
    const { stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", `trap '' XFSZ; ulimit -f 8192; exec "$0" eval "$1"`, Deno.execPath(), script],
    }).output();
    const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assertEquals(out!.trim(), "74 old 1", errors);
  },
});

Deno.test("readText() refuses a missing file and bytes that are not UTF-8 in one sentence", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, new Uint8Array([0xff, 0xfe, 0x41]));
  await assertRejects(() => readText(path), Problem, "not UTF-8");
  await Deno.remove(path);
  const missing = await assertRejects(() => readText(path), Problem, `Cannot read ${path}: it does not exist`);
  assertEquals(missing.exitCode, 2);
});

Deno.test("requireWritable() makes the folder, touches no file that is there, and refuses what cannot be a folder with 74", async () => {
  const folder = await Deno.makeTempDir(), inner = `${folder}/a/b`;
  await requireWritable(inner);
  await Deno.writeTextFile(`${inner}/probe`, "a person's own");
  await requireWritable(inner);
  assertEquals(await Array.fromAsync(Deno.readDir(inner), ({ name }) => name), ["probe"]);
  assertEquals(await Deno.readTextFile(`${inner}/probe`), "a person's own");
  const { exitCode, message } = await assertRejects(() => requireWritable(`${inner}/probe/c`), Problem);
  assertEquals([exitCode, message.startsWith(`Cannot write ${inner}/probe/c: `)], [74, true]);
  await Deno.remove(folder, { recursive: true });
});
