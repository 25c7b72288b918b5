import { tryLock } from "../core/file_lock.ts";
import { fileFault } from "../core/files.ts";
import { Problem } from "../core/problem.ts";

/**
 * Takes the lock file at `path`, which names who holds it: other machines may
 * see it too. The system frees it when the process ends, however it ends.
 *
 * @throws {Problem} exit code 73 when another process holds it, 74 when the folder refuses.
 */
export async function lock(path: string, what: string): Promise<Disposable> {
  const file = await Deno.open(path, { create: true, read: true, write: true }).catch((error) => {
    throw fileFault("write", path, error);
  });
  if (!tryLock(file, path)) {
    const holder = (await Deno.readTextFile(path)).trim();
    file.close();
    throw new Problem(`Another run (process ${holder}) is making "${what}": wait for it, or stop it and run again`, {
      exitCode: 73,
    });
  }
  try {
    file.truncateSync(0);
    file.writeSync(new TextEncoder().encode(`${Deno.pid} on ${Deno.hostname()}\n`));
  } catch (error) {
    file.close();
    throw fileFault("write", path, error);
  }
  return file;
}
