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
  /** The same for a shell. */
  commandLine(...args: string[]): string;
  remove(): Promise<void>;
}

/** Of `parts` of the project alone, and with what `env` says besides. */
export async function openWorkspace(
  parts: readonly string[] = ["ablations", "experiments", "results", "deno.lock"],
  env: (cwd: string) => Record<string, string> = () => ({}),
): Promise<Workspace> {
  const cwd = await Deno.makeTempDir({ prefix: "nfm-test-" });
  for (const name of parts) {
    await Deno.symlink(join(project, name), join(cwd, name));
  }
  const cli = join(project, "lib/cli.ts");
  const deno = (script: string) => ["run", "--quiet", "-A", "--config", join(project, "deno.json"), script];
  const command: Workspace["command"] = (args, script = cli) =>
    new Deno.Command(Deno.execPath(), {
      args: [...deno(script), ...args],
      cwd,
      env: { NO_COLOR: "1", ...env(cwd) },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  return {
    cwd,
    command,
    commandLine: (...args) => [Deno.execPath(), ...deno(cli), ...args].map((word) => `'${word}'`).join(" "),
    run: async (...args) => finished(await command(args).output()),
    remove: () => Deno.remove(cwd, { recursive: true }),
  };
}

export function finished({ code, stdout, stderr }: Deno.CommandOutput): Finished {
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}
