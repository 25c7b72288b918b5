import { assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { planStage, readStage, runStage } from "../../lib/runs/stages.ts";

const stage = (key: Record<string, unknown>) => ({ kind: "student", name: "student NFM seed 0", key } as const);
const make = async (folder: string) => await Deno.writeTextFile(`${folder}/value.json`, "7");

async function inFolder(test: (root: string) => Promise<void>) {
  const root = await Deno.makeTempDir();
  try {
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("planStage() says why a stage must run, and runStage() keeps it for the next run", () =>
  inFolder(async (root) => {
    const first = await planStage(stage({ student: { width: 64 }, code: "a" }), { root });
    assertEquals([first.done, first.reason], [false, "not made yet"]);
    assertEquals((await runStage(first, make)).skipped, false);

    const again = await planStage(stage({ student: { width: 64 }, code: "a" }), { root });
    assertEquals([again.done, again.reason], [true, "unchanged"]);
    const untouched = () => Promise.reject(new Error("a finished stage ran again"));
    assertEquals((await runStage(again, untouched)).skipped, true);
    assertEquals(await readStage<number>(again, "value.json"), 7);

    const other = await planStage({ ...stage({ student: { width: 64 }, code: "a" }), name: "student η=0.2" }, { root });
    assertEquals(other.done, true, "another row, or experiment, that agrees in the key shares the result");

    const wider = await planStage(stage({ student: { width: 128 }, code: "a" }), { root });
    assertEquals([wider.done, wider.reason], [false, "student.width was 64, is 128"]);
    const recoded = await planStage(stage({ student: { width: 64 }, code: "b" }), { root });
    assertEquals([recoded.done, recoded.reason], [false, "the code changed"]);
  }));

Deno.test("runStage() goes on with what an interrupted run left, and a forced one starts over", () =>
  inFolder(async (root) => {
    const key = stage({ seed: 1 });
    const plan = await planStage(key, { root });
    await assertRejects(() =>
      runStage(plan, async (folder) => {
        await Deno.writeTextFile(`${folder}/checkpoint`, "half");
        throw new Problem("stopped", { exitCode: 75 });
      }), Problem);
    const resumed = await planStage(key, { root });
    assertEquals([resumed.done, resumed.reason], [false, "begun before, goes on from there"]);
    await runStage(resumed, async (folder) => assertEquals(await Deno.readTextFile(`${folder}/checkpoint`), "half"));

    const forced = await planStage(key, { forced: true, root });
    assertEquals([forced.done, forced.reason], [false, "forced"]);
    await runStage(forced, async (folder) => {
      const left = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
      assertEquals(left, ["lock"]);
    });
  }));

Deno.test("runStage() refuses a stage that another process is making, and names it and its machine", () =>
  inFolder(async (root) => {
    const plan = await planStage(stage({ seed: 2 }), { root });
    await Deno.mkdir(plan.folder, { recursive: true });
    const lock = new URL("../../lib/runs/lock.ts", import.meta.url);
    const script =
      `const { lock } = await import("${lock}"); await lock(${JSON.stringify(`${plan.folder}/lock`)}, "it");` +
      `console.log("held"); await new Promise(() => setTimeout(() => {}, 60000));`;
    const args = ["eval", script];
    const holder = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "null" }).spawn();
    const reader = holder.stdout.getReader();
    await reader.read();
    const refused = await assertRejects(
      () => runStage(plan, make),
      Problem,
      `(process ${holder.pid} on ${Deno.hostname()})`,
    );
    assertEquals(refused.exitCode, 73);
    holder.kill("SIGKILL");
    await holder.status;
    await reader.cancel();
    assertEquals((await runStage(plan, make)).skipped, false, "the lock went with the process");
  }));
