import { Problem } from "../core/problem.ts";

/**
 * Takes the project's one lock for runs; the system frees it when the process
 * ends, however it ends.
 *
 * @throws {Problem} exit code 73 when another run holds it.
 */
export async function lockRuns(path = ".nfm/run.lock"): Promise<Disposable> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  const file = await Deno.open(path, { create: true, read: true, write: true });
  if (!file.tryLockSync(true)) {
    const holder = new TextDecoder().decode(await Deno.readFile(path)).trim();
    file.close();
    throw new Problem(`Another run (process ${holder}) is at work in this folder: wait for it, or stop it and run again`, {
      exitCode: 73,
    });
  }
  file.truncateSync(0);
  file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
  return file;
}
