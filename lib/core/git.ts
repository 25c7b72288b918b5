import { outputOf } from "./program.ts";

/**
 * What git prints, as it is; `undefined` where there is no git, no repository,
 * or it refuses.
 *
 * @param cwd the folder in which it runs; that of the process when not said
 */
export function gitBytes(args: readonly string[], cwd?: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  return outputOf("git", args, cwd);
}

/** The same as text. */
export async function git(args: readonly string[], cwd?: string): Promise<string | undefined> {
  const bytes = await gitBytes(args, cwd);
  return bytes && new TextDecoder().decode(bytes);
}
