/**
 * What git prints, as it is; `undefined` where there is no git, no repository,
 * or it refuses.
 *
 * @param cwd the folder in which it runs; that of the process when not said
 */
export async function gitBytes(args: readonly string[], cwd?: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const command = new Deno.Command("git", {
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

/** The same as text. */
export async function git(args: readonly string[], cwd?: string): Promise<string | undefined> {
  const bytes = await gitBytes(args, cwd);
  return bytes && new TextDecoder().decode(bytes);
}
