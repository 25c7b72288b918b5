import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { z } from "zod";
import { readJson, readJsonIfSound } from "../../lib/core/json.ts";
import { Problem } from "../../lib/core/problem.ts";

const check = (json: unknown) => z.object({ seconds: z.number() }).parse(json);
const bytesOf = (text: string) => new TextEncoder().encode(text);
const damages = {
  truncated: bytesOf('{"seconds": 1'),
  empty: bytesOf(""),
  null: bytesOf("null"),
  other: bytesOf('{"seconds": "1"}'),
  binary: Uint8Array.of(0xff, 0xfe),
};

Deno.test("readJson() says of a damaged or missing file what to do; readJsonIfSound() does without it", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/done.json`;
  const refused = async () => await assertRejects(() => readJson(path, check, "remove it"), Problem);
  for (const [name, bytes] of [["missing", undefined], ...Object.entries(damages)] as const) {
    if (bytes) await Deno.writeFile(path, bytes);
    const { message, exitCode } = await refused();
    assertEquals(message.startsWith(`Cannot read ${path}: `) && message.endsWith("; remove it"), true, message);
    assertEquals([exitCode, message.includes(": : ")], [2, false], name);
    assertEquals(await readJsonIfSound(path, check), undefined, name);
  }
  await Deno.writeTextFile(path, '{"seconds": "1"}');
  assertStringIncludes((await refused()).message, "seconds: Invalid input: expected number");
  await Deno.writeTextFile(path, '{"seconds": 1.5}');
  assertEquals([await readJson(path, check, ""), await readJsonIfSound(path, check)], [{ seconds: 1.5 }, {
    seconds: 1.5,
  }]);
  const { exitCode } = await assertRejects(() => readJsonIfSound(folder, check), Problem, `Cannot read ${folder}`);
  assertEquals(exitCode, 74, "what the disk refuses may be sound");
  await Deno.remove(folder, { recursive: true });
});
