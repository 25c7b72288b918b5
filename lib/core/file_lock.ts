import { say } from "./terminal.ts";

let said = false;

/**
 * Takes the lock of the open file at `path` for as long as it is open; the
 * system frees it when the process ends, however it ends. Some file systems of
 * clusters have no locks (Lustre mounted without flock, NFS without its lock
 * daemon): that is said once, and the work goes on without.
 *
 * @returns false where another process holds it
 */
export function tryLock(file: Deno.FsFile, path: string): boolean {
  try {
    return file.tryLockSync(true);
  } catch {
    if (!said) say(`the file system of ${path} has no locks: see to it that no two processes share its folder`);
    said = true;
    return true;
  }
}
