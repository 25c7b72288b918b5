import { Problem } from "./problem.ts";

/** How another program is run. */
export interface ProgramOptions {
  /** What cannot be done without it, for errors: `install libtensorflow`. */
  readonly purpose: string;
  /** What a person who lacks it is told besides. */
  readonly why?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A program under way; its standard input stays open.
 *
 * @throws {Problem} when it cannot be started
 */
export function startProgram(program: string, args: readonly string[], options: ProgramOptions): Deno.ChildProcess {
  const { purpose, why = "", env = {} } = options;
  try {
    const pipes = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
    return new Deno.Command(program, { args: [...args], env, ...pipes }).spawn();
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound
      ? `${program} is not installed${why && `, and ${why}`}`
      : error instanceof Deno.errors.NotCapable
      ? `this task may not run ${program} (--allow-run)`
      : `${program} cannot be run (${(error as Error).message})`;
    throw new Problem(`Cannot ${purpose}: ${reason}`, { cause: error });
  }
}

/**
 * Runs a program to its end. Its standard input is closed when this process
 * ends, however that happens.
 *
 * @param onLine hears each line that it prints
 * @throws {Problem} when it cannot be started
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  { onLine = () => {}, ...options }: ProgramOptions & { readonly onLine?: (line: string) => void },
): Promise<{ readonly success: boolean; readonly stderr: string }> {
  const child = startProgram(program, args, options);
  const stderr = new Response(child.stderr).text();
  let rest = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop()!;
    lines.forEach(onLine);
  }
  if (rest !== "") onLine(rest);
  const { success } = await child.status;
  await child.stdin.close().catch(() => {});
  return { success, stderr: await stderr };
}

/**
 * What a program prints; `undefined` where it fails, is not there or this task
 * may not run it.
 *
 * @param cwd the folder in which it runs; that of the process when not said
 */
export async function outputOf(
  program: string,
  args: readonly string[],
  cwd?: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const command = new Deno.Command(program, {
      args: [...args],
      stdin: "null",
      stderr: "null",
      ...(cwd !== undefined && { cwd }),
    });
    const { success, stdout } = await command.output();
    return success ? stdout : undefined;
  } catch {
    return undefined;
  }
}
