import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { join } from "node:path";
import { exists } from "../../lib/core/files.ts";
import { locate } from "../../lib/engine/locate.ts";
import { controlC, hasTerminal, inTerminal, watch } from "./terminal.ts";
import { openWorkspace } from "./workspace.ts";

/** The commands that make a part of a recipe and keep it: what of the committed results they made, and what they say. */
const parts = [
  { command: "features", of: "table4", committed: "features/mnist-16", what: "the feature network of table4" },
  { command: "autoencoder", of: "table6", committed: "autoencoders/mnist-32", what: "the autoencoder of table6" },
  { command: "teacher", of: "table4", committed: "teachers/mnist-16", what: "the teacher of NFM" },
] as const;

for (const { command, of, committed, what } of parts) {
  Deno.test(`${command} says in a dry run what it would train, and leaves alone what the recipe has made`, async () => {
    const { cwd, run, remove } = await openWorkspace();
    const cli = async (...args: string[]) => {
      const { code, out, err } = await run(command, of, `${command}.pretrained=kept`, ...args);
      assertEquals(code, 0, err);
      assertEquals(await exists(join(cwd, ".nfm")), false, "nothing is written");
      return { out, err };
    };
    const wanted = `would train ${what} into kept/\n`;
    assertEquals(await cli("--dry-run"), { out: wanted, err: "" });
    assertEquals(await exists(join(cwd, "kept")), false);
    await Deno.mkdir(join(cwd, "kept"));
    for await (const { name } of Deno.readDir(join(cwd, "results", committed))) {
      await Deno.copyFile(join(cwd, "results", committed, name), join(cwd, "kept", name));
    }
    const kept = { out: "", err: "kept/ is what this recipe makes; --force trains it again\n" };
    assertEquals([await cli("--dry-run"), await cli()], [kept, kept]);
    assertEquals(await cli("--dry-run", "--force"), { out: wanted, err: "" });
    await remove();
  });
}

Deno.test({
  name: "features stops at Ctrl-C, frees the terminal, and goes on from there when it is asked again",
  ignore: !hasTerminal || await locate() === undefined,
  fn: async () => {
    const { cwd, commandLine, remove } = await openWorkspace();
    const line = commandLine("features", "table4", "features.pretrained=kept");
    const stopped = async () => {
      const { code, said } = await watch(inTerminal(line, cwd), ["steps/s"], controlC);
      assertEquals(code, 75, said);
      assertMatch(said, /feature network [^\r\n]* of 4685 steps/);
      const [, step] = said.match(/features mnist 16x16 stopped at step (\d+): run the same command to continue/) ?? [];
      return Number(step);
    };
    const first = await stopped();
    assertGreater(first, 0);
    assertGreater(await stopped(), first);
    assertEquals(await exists(join(cwd, "kept")), false);
    await remove();
  },
});
