import { cpus, totalmem } from "node:os";
import { z } from "zod";
import { exists, writeFileAtomic } from "../core/files.ts";
import { hashFile, hashOf } from "../core/hash.ts";
import { parseJson } from "../core/json.ts";
import { cpuFlags } from "../engine/device.ts";
import type { Engine } from "../engine/types.ts";

/** What computed: everything that can change the last digits of a figure besides recipe and code. */
export interface Environment {
  readonly deno: string;
  readonly typescript: string;
  readonly v8: string;
  readonly system: string;
  readonly cpu: string;
  /** The vector instructions, sorted, where the system tells: clouds give unlike processors one name. */
  readonly instructions?: readonly string[];
  readonly cores: number;
  /** GiB, rounded. */
  readonly memory: number;
  readonly engine: {
    readonly kind: string;
    readonly version: string;
    readonly device: string;
    readonly threads: number;
  };
  /** SHA-256 of deno.lock: the version of every dependency. */
  readonly lock: string;
}

/** This machine with the engine that is open. */
export async function describeEnvironment(engine: Engine): Promise<Environment> {
  const { kind, version, device, threads } = engine;
  const instructions = vectorInstructions(await cpuFlags());
  return {
    deno: Deno.version.deno,
    typescript: Deno.version.typescript,
    v8: Deno.version.v8,
    system: `${Deno.build.os} ${Deno.build.arch}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    ...(instructions.length > 0 ? { instructions } : {}),
    cores: cpus().length,
    memory: Math.round(totalmem() / 2 ** 30),
    engine: { kind, version, device, threads },
    lock: await hashFile("deno.lock"),
  };
}

/** Those that matrix products and rounding depend on, sorted. */
function vectorInstructions(flags: readonly string[]): string[] {
  return flags.filter((flag) => /^(avx|amx|fma|asimd|sve|bf16)/.test(flag)).sort();
}

/** Where environments are described, by their hash: those of committed results, and those of stages and private runs. */
export const environmentFolders = { committed: "results/environments", own: ".nfm/environments" } as const;

/** Writes the environment once, under its hash, and returns the hash that provenance names. */
export async function recordEnvironment(
  environment: Environment,
  folder: string = environmentFolders.committed,
): Promise<string> {
  const hash = hashOf(environment).slice(0, 8);
  const path = `${folder}/${hash}.json`;
  if (!await exists(path)) await writeFileAtomic(path, `${JSON.stringify(environment, null, 2)}\n`);
  return hash;
}

/** @throws {Problem} when the text is not what `recordEnvironment` writes; `path` is its name in messages. */
export function parseEnvironment(path: string, text: string): Environment {
  return parseJson(path, text, (json) => schema.parse(json));
}

const schema = z.object({
  deno: z.string(),
  typescript: z.string(),
  v8: z.string(),
  system: z.string(),
  cpu: z.string(),
  instructions: z.array(z.string()).readonly().exactOptional(),
  cores: z.int(),
  memory: z.int(),
  engine: z.object({ kind: z.string(), version: z.string(), device: z.string(), threads: z.int() }),
  lock: z.string(),
});
