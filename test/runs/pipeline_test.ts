import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { locate } from "../../lib/engine/locate.ts";
import { openOnce } from "../../lib/runs/open_once.ts";
import { finished, openWorkspace } from "./workspace.ts";

Deno.test("a row leaves nothing in the engine's memory: two rows as much as one", async () => {
  const { command, remove } = await openWorkspace();
  const script = fileURLToPath(new URL("row_memory.ts", import.meta.url));
  const { code, out, err } = finished(await command([await locate() ? "native" : "wasm"], script).output());
  assertEquals(code, 0, err);
  const [one, again, two] = JSON.parse(out.trim().split("\n").at(-1)!);
  assertEquals(two - again, again - one, "each run opens a feature network besides");
  await remove();
});

Deno.test("the caption of guided samples says what w is, of a teacher too where one was searched for", async () => {
  const { cwd, run, remove } = await openWorkspace();
  const short = ["--limit", "48", "--engine", await locate() ? "native" : "wasm", "--out", "out", "~rows.SD-FM"];
  const guidance = ["evaluation.guidance=[search]", "evaluation.samplers=[{method: euler, nfe: 2}]"];
  for (const [metrics, said] of [["frechet", false], ["frechet, teacherFrechet", true]] as const) {
    const { code, err } = await run("run", "table4", ...short, ...guidance, `evaluation.metrics=[${metrics}]`);
    assertEquals(code, 0, err);
    const { caption } = JSON.parse(await Deno.readTextFile(join(cwd, "out/figures.json")));
    assertEquals(caption.guidance.includes("w of v_u + w (v_c − v_u) by golden section"), true, caption.guidance);
    assertEquals(caption.guidance.includes("a teacher's is of u + w (c − u), log-scales"), said, caption.guidance);
  }
  await remove();
});

Deno.test("openOnce() opens when it is asked, once, and disposes what it opened and nothing else", async () => {
  const happened: string[] = [];
  const resource = (name: string) =>
    openOnce(() => {
      happened.push(`open ${name}`);
      return Promise.resolve({ dispose: () => void happened.push(`dispose ${name}`) });
    });
  {
    await using first = resource("first");
    await using _unused = resource("unused");
    await using second = resource("second");
    assertEquals(happened, []);
    assertEquals(await first.open(), await first.open());
    await second.open();
  }
  assertEquals(happened, ["open first", "open second", "dispose second", "dispose first"]);
  await using failing = openOnce<{ dispose(): void }>(() => Promise.reject(new Error("not there")));
  assertEquals((await failing.open().catch((error) => error)).message, "not there");
});
