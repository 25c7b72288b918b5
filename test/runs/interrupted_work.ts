// Run as a process of its own by interrupt_test.ts: work under a bar that a signal stops, and that then takes a while
// to save. `twice`: the signal comes a second time at once, as `deno task` hands it on; `stuck`: saving does not end.
import { withProgress } from "../../lib/core/terminal.ts";
import { interruptSignal } from "../../lib/runs/interrupt.ts";

const [how] = Deno.args;
const signal = interruptSignal();
if (how === "twice") signal.addEventListener("abort", () => Deno.kill(Deno.pid, "SIGINT"));
try {
  await withProgress("student NFM seed 0", 1_000_000, "samples", async (onProgress) => {
    for (let done = 0;; done += 256) {
      onProgress(done, "loss 0.1234");
      await pause(10);
      if (done === 25_600) console.log("begun");
    }
  }, signal);
} catch (error) {
  await pause(how === "stuck" ? 1100 : 100);
  console.log("saved");
  if (how === "stuck") await pause(600_000);
  console.error((error as Error).message);
  Deno.exit((error as { exitCode?: number }).exitCode);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
