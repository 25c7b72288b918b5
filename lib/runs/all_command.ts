import CliTable from "cli-table3";
import { fileURLToPath } from "node:url";
import { Problem } from "../core/problem.ts";
import { duration, say } from "../core/terminal.ts";
import { listExperiments } from "../recipes/load.ts";

/** What a run may do: the same as the tasks in deno.json. */
const permissions = ["read", "write", "env", "sys", "ffi", "run"].map((name) => `--allow-${name}`);

/**
 * Runs every experiment, one process each, and tells at the end how each went:
 * one that fails does not stop the others, and what was stopped goes on when
 * the command is given again. `args` are the options of `run`.
 *
 * @throws {Problem} with the exit code of the first that failed
 */
export async function allCommand(args: readonly string[]): Promise<void> {
  const cli = fileURLToPath(new URL("../cli.ts", import.meta.url));
  const table = new CliTable({ head: ["experiment", "", "time"], style: { head: [], border: [] } });
  const failed: { name: string; code: number }[] = [];
  const begun = performance.now();
  let stopped = false;
  // The running experiment gets the signal too, and saves.
  const stop = () => stopped = true;
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  try {
    for (const name of await listExperiments()) {
      if (stopped) break;
      say(`— ${name}`);
      const started = performance.now();
      const command = ["run", "--quiet", "--no-prompt", ...permissions, cli, "run", name, ...args];
      const { code } = await new Deno.Command(Deno.execPath(), { args: command, stdin: "null" }).spawn().status;
      if (code !== 0) failed.push({ name, code });
      table.push([name, code === 0 ? "done" : `exit code ${code}`, duration((performance.now() - started) / 1000)]);
    }
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, stop);
  }
  table.push(["all", "", duration((performance.now() - begun) / 1000)]);
  console.log(table.toString());
  const forced = args.some((word) => word.startsWith("--force"));
  if (stopped) {
    throw new Problem(
      `Stopped; run the same command to continue${forced ? ", without --force, which would begin again" : ""}`,
      { exitCode: 75 },
    );
  }
  if (failed.length === 0) return;
  throw new Problem(`${failed.map(({ name }) => name).join(", ")} failed: see above for why`, {
    exitCode: failed[0]!.code,
  });
}
