import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { Problem } from "../../lib/core/problem.ts";
import { engineCommand } from "../../lib/runs/engine_command.ts";

/** What the command prints, with an empty cache folder. */
async function printed(...args: string[]): Promise<string> {
  const { log } = console;
  const lines: string[] = [];
  const cache = await Deno.makeTempDir();
  const { XDG_CACHE_HOME } = Deno.env.toObject();
  Deno.env.set("XDG_CACHE_HOME", cache);
  console.log = (...words: unknown[]) => void lines.push(words.join(" "));
  try {
    await engineCommand(args);
  } finally {
    console.log = log;
    if (XDG_CACHE_HOME === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", XDG_CACHE_HOME);
    await Deno.remove(cache, { recursive: true });
  }
  return lines.join("\n").replaceAll(cache, "CACHE");
}

Deno.test("engineCommand: without a word it shows both engines, the processor and what auto would choose", async () => {
  const shown = await printed();
  assertMatch(shown, /│ native │/);
  assertMatch(shown, /│ wasm\s+│ tfjs-backend-wasm \d/);
  assertMatch(shown, /^CPU: .+, \d+ threads?$/m);
  assertMatch(shown, /^GPU: ./m);
  assertMatch(shown, /^--engine auto: (native|wasm), ./m);
});

Deno.test("engineCommand: --help names every command; remove says when there is nothing", async () => {
  const help = await printed("install", "--help");
  for (const word of ["install", "remove", "NFM_LIBTENSORFLOW"]) assert(help.includes(word), word);
  assertEquals(await printed("remove"), `There is no libtensorflow in ${join("CACHE", "nfm")}`);
});

Deno.test("engineCommand: what it does not know is one sentence with what was meant", async () => {
  const cases: [string[], RegExp][] = [
    [["instal"], /^Cannot do engine instal: expected status, install, remove; did you mean install\?$/],
    [["frobnicate"], /see deno task engine --help$/],
    [["toString"], /^Cannot do engine toString: /],
    [["install", "--flavour", "tpu"], /expected --flavour cpu or --flavour gpu, or nothing$/],
    [["remove", "everything"], /it takes nothing more$/],
  ];
  for (const [args, message] of cases) {
    const problem = await assertRejects(() => printed(...args), Problem);
    assertMatch(problem.message, message);
  }
});
