import { Problem } from "../core/problem.ts";

/**
 * A signal that Ctrl-C or SIGTERM raises: training then saves and stops within
 * a step, or the few of one call. A second one leaves at once. Never SIGUSR1, which opens a debugger.
 */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(130);
    controller.abort(new Problem("Stopped: run the same command to continue", { exitCode: 75 }));
  };
  for (const signal of ["SIGINT", ...(Deno.build.os === "windows" ? [] : ["SIGTERM"])] as Deno.Signal[]) {
    Deno.addSignalListener(signal, stop);
    // The listener alone must not keep a finished program alive.
    addEventListener("unload", () => Deno.removeSignalListener(signal, stop));
  }
  return controller.signal;
}
