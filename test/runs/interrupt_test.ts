import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { controlC, hasTerminal, inTerminal, watch } from "./terminal.ts";

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const command = ["run", "--no-check", "-A", "--config", pathOf("../../deno.json"), pathOf("interrupted_work.ts")];

const piped = (how: string) =>
  new Deno.Command(Deno.execPath(), { args: [...command, how], stdout: "piped", stderr: "piped" });
const ignore = Deno.build.os === "windows";

Deno.test({
  name: "an interrupt that comes twice at once, as under deno task, lets the work save",
  ignore,
  fn: async () => {
    const { code, said } = await watch(piped("twice"), ["begun"], (child) => child.kill("SIGINT"));
    assertEquals(code, 75, said);
    assertStringIncludes(said, "saved");
    assertStringIncludes(said, "Stopped: run the same command to continue");
  },
});

Deno.test({
  name: "a second interrupt, later, leaves at once",
  ignore,
  fn: async () => {
    const { code } = await watch(piped("stuck"), ["begun", "saved"], (child) => child.kill("SIGINT"));
    assertEquals(code, 130);
  },
});

Deno.test({
  name: "Ctrl-C at a terminal of 80 columns stops a deno task; the time left was seen, and nothing is to be put right",
  ignore: !hasTerminal,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const quoted = [Deno.execPath(), ...command].map((word) => `'${word}'`).join(" ");
      await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ tasks: { work: quoted } }));
      const line = `'${Deno.execPath()}' task --quiet work`;
      const { code, said } = await watch(inTerminal(line, folder), ["begun"], controlC);
      assertEquals(code, 75, said);
      assertStringIncludes(said, "saved");
      assertMatch(said, /student NFM seed 0 [^\r\n]{1,60} left/);
      for (const hidden of ["\x1b[?25l", "\x1b[?7l"]) assertEquals(said.includes(hidden), false);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
