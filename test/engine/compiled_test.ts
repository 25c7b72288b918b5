import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { locate } from "../../lib/engine/locate.ts";

const ignore = (await locate())?.flavour !== "cpu";
const script = new URL("./compiled_run.ts", import.meta.url).pathname;

async function run(keptIn: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", script, ...args],
    // Where this process has opened an engine, its own folder stands in the other variable.
    env: { NFM_COMPILED: keptIn, TF_XLA_FLAGS: "" },
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

async function kept(folder: string): Promise<{ path: string; size: number; made: number }[]> {
  const files = [];
  for await (const { name: machine } of Deno.readDir(folder)) {
    for await (const { name } of Deno.readDir(join(folder, machine))) {
      const path = join(folder, machine, name), { size, mtime } = await Deno.stat(path);
      files.push({ path, size, made: mtime!.getTime() });
    }
  }
  return files;
}

Deno.test("what was compiled is loaded by the next run, with the same bytes, and compiled again where it is damaged", {
  ignore,
}, async () => {
  const folder = await Deno.makeTempDir();
  const first = await run(folder), made = await kept(folder);
  assertEquals([first.code, first.stderr, made.length], [0, "", 1]);
  assert(first.stdout.split(" ").every((value) => Number.isFinite(Number(value))));
  assertEquals(await run(folder), first);
  assertEquals(await kept(folder), made, "nothing was compiled");
  for (const size of [0, 1, Math.floor(made[0]!.size / 2)]) {
    await Deno.truncate(made[0]!.path, size);
    assertEquals(await run(folder), first);
    assertEquals((await kept(folder)).map(({ path, size }) => [path, size]), [[made[0]!.path, made[0]!.size]]);
  }
  assertEquals((await run("none")).stdout, first.stdout);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("where compiled functions cannot be kept a run goes on, or says what to do", { ignore }, async () => {
  const folder = await Deno.makeTempDir(), file = join(folder, "file");
  await Deno.writeTextFile(file, "");
  assertEquals((await run(join(file, "below"))).code, 0);
  const relative = await run("here");
  assertEquals(relative.code, 2);
  assertMatch(relative.stderr, /NFM_COMPILED is here: expected the absolute path of a folder, or none/);
  const spoilt = await run(folder, "replace");
  assertEquals(spoilt.code, 74);
  assertMatch(spoilt.stderr, /Cannot keep a compiled function in .*; make room there, or set NFM_COMPILED=none/);
  await Deno.remove(folder, { recursive: true });
});
