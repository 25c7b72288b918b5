import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../core/files.ts";
import { hashFile } from "../../core/hash.ts";
import { readJsonIfSound } from "../../core/json.ts";
import { Problem } from "../../core/problem.ts";
import { withProgress } from "../../core/terminal.ts";
import { type Manifest, pixelsFile } from "./prepared.ts";

/** Size and time of change of each file of pixels when its digest was last found right. */
const stampsForm = z.record(z.string(), z.tuple([z.number(), z.number()]));

/**
 * Compares every file of pixels with the manifest. A file that has not changed
 * since it was last found right, by size and time, is not read again.
 *
 * @throws {Problem} naming the file that is missing or damaged
 */
export async function verifyPixels(folder: string, { chunks }: Manifest): Promise<void> {
  const stampFile = join(folder, "verified.json");
  const stamps = await readJsonIfSound(stampFile, (json) => stampsForm.parse(json)) ?? {};
  const now: Record<string, readonly [number, number]> = {};
  const changed: number[] = [];
  for (const chunk of chunks.keys()) {
    const path = pixelsFile(folder, chunk);
    const info = await Deno.stat(path).catch((cause) => {
      throw new Problem(`Cannot find ${path} of the prepared images: ${remedy(folder, chunk)}`, {
        cause,
        exitCode: 74,
      });
    });
    const stamp = now[chunk] = [info.size, info.mtime?.getTime() ?? 0];
    if (stamps[chunk]?.join() !== stamp.join()) changed.push(chunk);
  }
  if (changed.length === 0) return;
  await withProgress(`verifying ${folder}`, changed.length, "files", async (onProgress) => {
    for (const [i, chunk] of changed.entries()) {
      const path = pixelsFile(folder, chunk);
      if (await hashFile(path) !== chunks[chunk]!.pixels) {
        throw new Problem(`${path} is damaged: ${remedy(folder, chunk)}`, { exitCode: 74 });
      }
      onProgress(i + 1);
    }
  });
  await writeFileAtomic(stampFile, JSON.stringify(now));
}

function remedy(folder: string, chunk: number): string {
  const record = `chunk-${String(chunk).padStart(5, "0")}.json`;
  return `remove ${join(folder, record)} and ${join(folder, "manifest.json")} and run again to make that piece anew`;
}
