import { hashOf } from "../core/hash.ts";

/** The folders of lib/ whose code decides what is trained. */
const trainingCode = ["engine", "nn", "data", "models", "couplings", "training"];
/** Those that decide what is measured on top of it. */
const measuringCode = [...trainingCode, "sampling", "metrics"];
/** Files in them that no number depends on: installing, finding and naming the engine. */
const passive = new Set(["install", "locate", "releases", "device", "open", "types"]);

/**
 * A hash of the code that a stage's result depends on, comments and layout left
 * out: part of every stage's key, so that a change of the code, and only that,
 * makes a stage run again. Folders within the layers prepare data, and what
 * came of that is told by the data's own digest.
 */
export async function codeVersion(of: "training" | "measuring"): Promise<string> {
  const root = new URL("../", import.meta.url);
  const files = [new URL("core/rng.ts", root)];
  for (const folder of of === "training" ? trainingCode : measuringCode) {
    for await (const entry of Deno.readDir(new URL(folder, root))) {
      const name = entry.name.replace(/\.ts$/, "");
      if (entry.isFile && entry.name.endsWith(".ts") && !passive.has(name)) {
        files.push(new URL(`${folder}/${entry.name}`, root));
      }
    }
  }
  const sources = files.map((file) => file.href).sort().map(async (href) => [
    href.slice(root.href.length),
    withoutComments(await Deno.readTextFile(new URL(href))),
  ]);
  return hashOf(await Promise.all(sources)).slice(0, 16);
}

/** Source text without comment lines and white space: good enough to tell whether the code changed. */
export function withoutComments(source: string): string {
  return source.split("\n")
    .filter((line) => !/^\s*(\/\/|\/\*|\*)/.test(line))
    .map((line) => line.replace(/\s\/\/ .*$/, ""))
    .join("").replace(/\s+/g, "");
}
