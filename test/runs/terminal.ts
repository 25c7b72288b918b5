/** Whether there is util-linux's `script`, which gives a command a terminal. */
export const hasTerminal = await hasScript();

/** Runs a command; whenever it says the next of `words`, `act` is called. What it said, and how it ended. */
export async function watch(
  command: Deno.Command,
  words: readonly string[],
  act: (child: Deno.ChildProcess) => unknown,
): Promise<{ readonly code: number; readonly said: string }> {
  const child = command.spawn(), errors = new Response(child.stderr).text();
  let said = "", heard = 0;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    while (heard < words.length && said.includes(words[heard]!)) {
      heard++;
      await act(child);
    }
  }
  return { code: (await child.status).code, said: said + await errors };
}

/**
 * A command line in a terminal of 80 columns, whose keys are the command's standard input. It takes the shell's
 * place: a shell that waits for it may die of the same Ctrl-C, with an exit code of its own.
 */
export function inTerminal(line: string, cwd: string): Deno.Command {
  return new Deno.Command("script", {
    args: ["--quiet", "--return", "--command", `stty cols 80; exec ${line}`, "/dev/null"],
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Presses Ctrl-C in a terminal. */
export async function controlC(terminal: Deno.ChildProcess): Promise<void> {
  const keys = terminal.stdin.getWriter();
  await keys.write(Uint8Array.of(3));
  keys.releaseLock();
}

async function hasScript(): Promise<boolean> {
  try {
    const { stdout } = await new Deno.Command("script", { args: ["--version"], stderr: "null" }).output();
    return new TextDecoder().decode(stdout).includes("util-linux");
  } catch {
    return false;
  }
}
