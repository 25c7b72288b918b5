import { Problem } from "../core/problem.ts";

/** Milliseconds in which another signal belongs to the first. */
const oneInterrupt = 1000;

let raised: AbortSignal | undefined;

/**
 * The signal that Ctrl-C or SIGTERM raises, one for the whole process: training then saves and stops within
 * a step, or the few of one call. A second one leaves at once. Never SIGUSR1, which opens a debugger.
 */
export function interruptSignal(): AbortSignal {
  return raised ??= listen();
}

function listen(): AbortSignal {
  const controller = new AbortController();
  let first = 0;
  const stop = () => {
    // One Ctrl-C comes twice under `deno task`: of the terminal, to all that run in it, and handed on by the task.
    if (controller.signal.aborted && performance.now() - first < oneInterrupt) return;
    if (controller.signal.aborted) Deno.exit(130);
    first = performance.now();
    controller.abort(new Problem("Stopped: run the same command to continue", { exitCode: 75 }));
  };
  for (const signal of ["SIGINT", ...(Deno.build.os === "windows" ? [] : ["SIGTERM"])] as Deno.Signal[]) {
    Deno.addSignalListener(signal, stop);
    // The listener alone must not keep a finished program alive.
    addEventListener("unload", () => Deno.removeSignalListener(signal, stop));
  }
  return controller.signal;
}
