import { assertEquals, assertGreater, assertRejects, assertStringIncludes } from "@std/assert";
import { exists } from "../../lib/core/files.ts";
import { Problem } from "../../lib/core/problem.ts";
import { planStage, readStage, runStage } from "../../lib/runs/stages.ts";

const stage = (key: Record<string, unknown>) => ({ kind: "student", name: "student NFM seed 0", key } as const);
const make = async (folder: string) => await Deno.writeTextFile(`${folder}/facts.json`, '{"value":7}');
const damages = ['{"seconds": 1', "", "null", '{"seconds": "x"}', "text"];

async function inFolder(test: (root: string) => Promise<void>) {
  const root = await Deno.makeTempDir();
  try {
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const stages = new URL("../../lib/runs/stages.ts", import.meta.url).href;
const config = new URL("../../deno.json", import.meta.url).pathname;

/** A process of its own that has `planStage` and `runStage`. */
async function startScript(root: string, script: string, rights = ["-A"]) {
  const file = `${root}/script.ts`;
  await Deno.writeTextFile(file, `import { planStage, runStage } from ${JSON.stringify(stages)};\n${script}`);
  const args = ["run", "--no-check", "--config", config, ...rights, file];
  return new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "piped" }).spawn();
}

async function runScript(root: string, script: string, rights?: string[]) {
  const { success, stderr } = await (await startScript(root, script, rights)).output();
  return { success, stderr: new TextDecoder().decode(stderr) };
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
    assertEquals(await readStage(again, "facts.json"), { value: 7 });

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

Deno.test("what --force made again in this process is not made a second time; one that is stopped says to leave it out", () =>
  inFolder(async (root) => {
    const key = stage({ seed: 3 });
    await runStage(await planStage(key, { root }), make);
    // Two rows plan the same stage before the first of them makes it.
    const plans = [await planStage(key, { forced: true, root }), await planStage(key, { forced: true, root })] as const;
    assertEquals(plans.map(({ reason }) => reason), ["forced", "forced"]);
    const stopped = await assertRejects(() =>
      runStage(plans[0], async (folder) => {
        await Deno.writeTextFile(`${folder}/checkpoint`, "half");
        throw new Problem("Stopped: run the same command to continue", { exitCode: 75 });
      }), Problem);
    assertEquals(
      [stopped.message, stopped.exitCode],
      ["Stopped: run the same command to continue, without --force, which would begin again", 75],
    );
    assertEquals((await planStage(key, { root })).reason, "begun before, goes on from there");
    const again = await runStage(plans[0], async (folder) => {
      assertEquals(await Deno.readTextFile(`${folder}/checkpoint`), "half");
      await make(folder);
    });
    assertEquals(again.skipped, false);
    assertEquals((await runStage(plans[1], make)).skipped, true);
  }));

Deno.test("a forced stage that was cleared by half does not pass for done", () =>
  inFolder(async (root) => {
    const key = stage({ seed: 4 }), { folder } = await planStage(key, { root });
    const files = Array.from({ length: 40 }, (_, i) => `${folder}/file-${i}`);
    await runStage(await planStage(key, { root }), async () => {
      for (const file of files) await Deno.writeTextFile(file, "kept");
    });
    const script = `const plan = await planStage(${JSON.stringify(key)}, { forced: true, root: ${
      JSON.stringify(root)
    } });
      await runStage(plan, () => Promise.resolve());`;
    // It may remove none of the files: the first that it tries ends it.
    const rights = [
      "--no-prompt",
      "--allow-read",
      "--allow-sys=hostname",
      `--allow-write=${root}`,
      `--deny-write=${files}`,
    ];
    const { success, stderr } = await runScript(root, script, rights);
    assertEquals(success, false);
    assertStringIncludes(stderr, "NotCapable");
    const plan = await planStage(key, { root });
    assertEquals(plan.reason, "begun before, goes on from there");
    await runStage(plan, async () => {
      const left = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
      assertEquals(left, ["lock"]);
    });
  }));

Deno.test("a result says in which environments it was made; going on in another is said once", () =>
  inFolder(async (root) => {
    const key = stage({ seed: 5 }), { folder } = await planStage(key, { root });
    const script = (environment: string, make: string) =>
      `const plan = await planStage(${JSON.stringify(key)}, { root: ${JSON.stringify(root)} });
       await runStage(plan, () => ${make}, { environment: () => Promise.resolve("${environment}") });`;
    const stop = `Promise.reject(new Error("stopped"))`;
    assertEquals((await runScript(root, script("aaaa", stop))).stderr.includes("goes on in"), false);
    assertEquals((await runScript(root, script("aaaa", stop))).stderr.includes("goes on in"), false);
    const { stderr } = await runScript(root, script("bbbb", "Promise.resolve()"));
    assertStringIncludes(stderr, "student NFM seed 0: begun in environment aaaa, goes on in bbbb");
    assertEquals(JSON.parse(await Deno.readTextFile(`${folder}/done.json`)).environments, ["aaaa", "bbbb"]);
  }));

Deno.test({
  name: "the time of a stage that was killed counts",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (root) => {
      const key = stage({ seed: 6 }), plan = await planStage(key, { root });
      const script = `const plan = await planStage(${JSON.stringify(key)}, { root: ${JSON.stringify(root)} });
        await runStage(plan, async () => {
          await new Promise((resolve) => setTimeout(resolve, 60_000));
        }, { noteEverySeconds: 0.02 });`;
      const child = await startScript(root, script), ended = child.output();
      const noted = `${plan.folder}/seconds.json`;
      for (let tries = 0; !await exists(noted) && tries < 3000; tries++) await new Promise((f) => setTimeout(f, 10));
      child.kill("SIGKILL");
      assertEquals((await ended).signal, "SIGKILL");
      const spent = Number(await Deno.readTextFile(noted));
      assertGreater(spent, 0);
      assertGreater((await runStage(await planStage(key, { root }), make)).seconds, spent);
    }),
});

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

Deno.test("a stage whose mark is damaged is not done, and goes on from what it has", () =>
  inFolder(async (root) => {
    const key = stage({ seed: 7 }), { folder } = await planStage(key, { root });
    await runStage(await planStage(key, { root }), make);
    for (const damage of damages) {
      const planned = await planStage(key, { root });
      assertEquals(planned.reason, "unchanged");
      await Deno.writeTextFile(`${folder}/done.json`, damage);
      assertEquals((await planStage(key, { forced: true, root })).reason, "forced");
      const plan = await planStage(key, { root });
      assertEquals([plan.done, plan.reason], [false, "begun before, goes on from there"], damage);
      // The same where it was damaged after it was looked up.
      const { skipped, seconds } = await runStage(damage === "" ? planned : plan, async () => {
        assertEquals(await readStage(plan, "facts.json"), { value: 7 });
      });
      assertEquals([skipped, seconds > 0], [false, true], damage);
    }
  }));

Deno.test("damaged notes of what was made last, and of the time it took so far, are as none", () =>
  inFolder(async (root) => {
    for (const [seed, damage] of damages.entries()) {
      const plan = await planStage(stage({ seed }), { root });
      await Deno.mkdir(plan.folder, { recursive: true });
      await Deno.writeTextFile(`${plan.folder}/seconds.json`, damage);
      await runStage(plan, make);
      assertGreater(JSON.parse(await Deno.readTextFile(`${plan.folder}/done.json`)).seconds, 0);
      await Deno.writeTextFile(plan.last, damage === damages[3] ? "[]" : damage);
      assertEquals((await planStage(stage({ seed: -1 }), { root })).reason, "not made yet", damage);
    }
  }));

Deno.test("readStage() names a damaged file and what to remove; what is no number stays none", () =>
  inFolder(async (root) => {
    const plan = await planStage(stage({ seed: 8 }), { root });
    await runStage(plan, make);
    for (const file of ["facts.json", "figures.json"] as const) {
      for (const damage of [undefined, ...damages]) {
        const path = `${plan.folder}/${file}`;
        if (damage === undefined) await Deno.remove(path).catch(() => {});
        else await Deno.writeTextFile(path, damage);
        const { message } = await assertRejects(() => readStage(plan, file), Problem, `Cannot read ${path}: `);
        assertStringIncludes(message, `; remove ${plan.folder} to make it again`);
      }
    }
    const figures = { a: { value: NaN, sampleCount: 2 }, b: { value: 1, standardError: 0.5, sampleCount: 2 } };
    const probes = [{ weight: 1, value: null }];
    await Deno.writeTextFile(
      `${plan.folder}/figures.json`,
      JSON.stringify({ figures, search: { weight: 1, probes } }),
    );
    assertEquals(await readStage(plan, "figures.json"), { figures, search: { weight: 1, probes } });
  }));

Deno.test("a damaged note of environments is named before the stage goes on", () =>
  inFolder(async (root) => {
    const plan = await planStage(stage({ seed: 9 }), { root }), note = `${plan.folder}/environments.json`;
    await Deno.mkdir(plan.folder, { recursive: true });
    const options = { environment: () => Promise.resolve("aaaa") };
    for (const damage of damages) {
      await Deno.writeTextFile(note, damage);
      await assertRejects(() => runStage(plan, make, options), Problem, `Cannot read ${note}: `);
    }
    await Deno.remove(note);
    assertEquals((await runStage(plan, make, options)).skipped, false);
  }));

Deno.test("a place where stages cannot be kept is named", () =>
  inFolder(async (root) => {
    await Deno.writeTextFile(`${root}/plain`, "");
    await Deno.symlink(`${root}/nowhere`, `${root}/dangling`);
    const locked = await planStage(stage({}), { root });
    await Deno.mkdir(`${locked.folder}/lock`, { recursive: true });
    for (const [place, named] of [["plain", "student"], ["dangling", "student"], ["", "lock"]] as const) {
      const plan = await planStage(stage({}), { root: `${root}/${place}` });
      const { message, exitCode } = await assertRejects(() => runStage(plan, make), Problem, "Cannot write ");
      assertStringIncludes(message, named);
      assertEquals([exitCode, message.includes("\n")], [74, false], message);
    }
  }));
