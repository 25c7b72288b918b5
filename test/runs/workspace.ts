import { join } from "node:path";
import { fileURLToPath } from "node:url";

const project = fileURLToPath(new URL("../../", import.meta.url));

/** What a program left behind. */
export interface Finished {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A folder with the project's recipes and committed results, and kept stages of its own. */
export interface Workspace {
  readonly cwd: string;
  /** The command line as a person gives it, or another script of the project with `script`. */
  command(args: readonly string[], script?: string): Deno.Command;
  run(...args: string[]): Promise<Finished>;
  remove(): Promise<void>;
}

export async function openWorkspace(): Promise<Workspace> {
  const cwd = await Deno.makeTempDir({ prefix: "nfm-test-" });
  for (const name of ["ablations", "experiments", "results", "deno.lock"]) {
    await Deno.symlink(join(project, name), join(cwd, name));
  }
  const command: Workspace["command"] = (args, script = join(project, "lib/cli.ts")) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", "--config", join(project, "deno.json"), script, ...args],
      cwd,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  return {
    cwd,
    command,
    run: async (...args) => finished(await command(args).output()),
    remove: () => Deno.remove(cwd, { recursive: true }),
  };
}

export function finished({ code, stdout, stderr }: Deno.CommandOutput): Finished {
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}
