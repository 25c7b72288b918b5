import { join } from "node:path";
import { writeFileAtomic } from "../core/files.ts";
import type { StageFigures } from "./cell.ts";

/** Writes what a stage measured. */
export async function writeStageFigures(folder: string, measured: StageFigures): Promise<void> {
  await writeFileAtomic(join(folder, "figures.json"), JSON.stringify(measured, null, 1));
}
