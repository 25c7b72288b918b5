// Run as a process of its own by kill_test.ts: a small training that saves at every step, in the folder given.
import { openEngine } from "../../lib/engine/mod.ts";
import { tinyRun } from "./tiny_run.ts";

const [folder, engine, steps] = Deno.args as [string, "wasm" | "native", string];
await openEngine(engine);
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());
console.log("ready");
try {
  await tinyRun(folder, Number(steps), { signal: stop.signal, onStep: () => pause(4) });
} catch (error) {
  console.error((error as Error).message);
  Deno.exit((error as { exitCode?: number }).exitCode ?? 1);
}
Deno.exit(0);

/** Holds the process, so that the whole training takes long enough to be hit. */
function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
