import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const command = ["run", "--no-check", "-A", "--config", pathOf("../../deno.json"), pathOf("interrupted_work.ts")];

/** Runs a command; whenever it says the next of `words`, `act` is called. What it said, and how it ended. */
async function watch(
  command: Deno.Command,
  words: readonly string[],
  act: (child: Deno.ChildProcess) => unknown,
): Promise<{ readonly code: number; readonly said: string }> {
  const child = command.spawn(), errors = new Response(child.stderr).text();
  let said = "", heard = 0;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    while (heard < words.length && said.includes(words[heard]!)) {
      heard++;
      await act(child);
    }
  }
  return { code: (await child.status).code, said: said + await errors };
}

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
  ignore: !await hasScript(),
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const quoted = [Deno.execPath(), ...command].map((word) => `'${word}'`).join(" ");
      await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ tasks: { work: quoted } }));
      const line = `stty cols 80; '${Deno.execPath()}' task --quiet work`;
      const terminal = new Deno.Command("script", {
        args: ["--quiet", "--return", "--command", line, "/dev/null"],
        cwd: folder,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      });
      const { code, said } = await watch(terminal, ["begun"], async (child) => {
        const keys = child.stdin.getWriter();
        await keys.write(Uint8Array.of(3)); // Ctrl-C
        keys.releaseLock();
      });
      assertEquals(code, 75, said);
      assertStringIncludes(said, "saved");
      assertMatch(said, /student NFM seed 0 [^\r\n]{1,60} left/);
      for (const hidden of ["\x1b[?25l", "\x1b[?7l"]) assertEquals(said.includes(hidden), false);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Whether there is util-linux's `script`, which gives a command a terminal. */
async function hasScript(): Promise<boolean> {
  try {
    const { stdout } = await new Deno.Command("script", { args: ["--version"], stderr: "null" }).output();
    return new TextDecoder().decode(stdout).includes("util-linux");
  } catch {
    return false;
  }
}
