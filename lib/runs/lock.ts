import { tryLock } from "../core/file_lock.ts";
import { Problem } from "../core/problem.ts";

/**
 * Takes the lock file at `path`, which names who holds it: other machines may
 * see it too. The system frees it when the process ends, however it ends.
 *
 * @throws {Problem} exit code 73 when another process holds it.
 */
export async function lock(path: string, what: string): Promise<Disposable> {
  const file = await Deno.open(path, { create: true, read: true, write: true });
  if (!tryLock(file, path)) {
    const holder = (await Deno.readTextFile(path)).trim();
    file.close();
    throw new Problem(`Another run (process ${holder}) is making "${what}": wait for it, or stop it and run again`, {
      exitCode: 73,
    });
  }
  file.truncateSync(0);
  file.writeSync(new TextEncoder().encode(`${Deno.pid} on ${Deno.hostname()}\n`));
  return file;
}
