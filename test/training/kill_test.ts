import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { engines } from "../engines.ts";
import { leftBehind } from "./tiny_run.ts";

const script = new URL("./killed_run.ts", import.meta.url).pathname;
const steps = 60;

/** Starts the training and, once it says that it is ready, sends `signal` after `delay` ms, if given. */
async function start(folder: string, engine: string, signal?: Deno.Signal, delay = 0) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", script, folder, engine, String(steps)],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  for (let said = ""; !said.includes("ready");) {
    const { value, done } = await reader.read();
    if (done) break;
    said += value;
  }
  if (signal) {
    await new Promise((resolve) => setTimeout(resolve, delay));
    try {
      child.kill(signal);
    } catch {
      // it had already ended
    }
  }
  await reader.cancel();
  const { code, signal: endedBy } = await child.status;
  return { code, endedBy, errors: await errors };
}

for (const engine of engines) {
  Deno.test(`a training killed at random moments ends as an uninterrupted one, byte for byte [${engine}]`, async () => {
    const [whole, killed] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
    assertEquals((await start(whole, engine)).code, 0);
    const delays = createRng(8).fork(engine).integers(9, 70);
    let kills = 0;
    for (const delay of delays) {
      const { code, endedBy } = await start(killed, engine, "SIGKILL", delay);
      if (endedBy !== "SIGKILL") assertEquals(code, 0);
      else kills++;
    }
    assertEquals((await start(killed, engine)).code, 0);
    assert(kills >= 4, `only ${kills} of ${delays.length} kills came before the end`);
    assertEquals(await leftBehind(killed), await leftBehind(whole));
    for (const folder of [whole, killed]) await Deno.remove(folder, { recursive: true });
  });

  Deno.test(`a training told to end saves, exits 75 with a sentence, and goes on to the same end [${engine}]`, async () => {
    const [whole, stopped] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
    assertEquals((await start(whole, engine)).code, 0);
    const { code, errors } = await start(stopped, engine, "SIGTERM");
    assertEquals(code, 75);
    assertStringIncludes(errors, "run the same command to continue");
    assertEquals((await start(stopped, engine)).code, 0);
    assertEquals(await leftBehind(stopped), await leftBehind(whole));
    for (const folder of [whole, stopped]) await Deno.remove(folder, { recursive: true });
  });
}
