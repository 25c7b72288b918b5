import { z } from "zod";
import { readText, writeFileAtomic } from "../core/files.ts";
import { git } from "../core/git.ts";
import { hashOf } from "../core/hash.ts";
import { parseJson } from "../core/json.ts";
import type { Engine } from "../engine/types.ts";
import { describeEnvironment, recordEnvironment } from "./environment.ts";
import { runAgain } from "./json.ts";

/** When, where and from what a result came: the part that changes with every run. */
export interface Provenance {
  /** ISO 8601, UTC, whole seconds. */
  readonly date: string;
  /** The commit of the code; `+dirty` when files differed from it; `unknown` outside a repository. */
  readonly commit: string;
  /** SHA-256 of the resolved recipe, so that a changed recipe shows its result as stale. */
  readonly recipe: string;
  readonly overrides: readonly string[];
  /** `train` where the run trained its teachers, although trained ones may be kept in the repository. */
  readonly teacher?: "train";
  readonly engine: string;
  readonly threads: number;
  /** Seconds per stage; a stage that was kept from an earlier run counts what it cost then. */
  readonly seconds: Readonly<Record<string, number>>;
  /** File name in `results/environments/`, without `.json`. */
  readonly environment: string;
  /** What the run wrote beside this file: a later one removes those that it has no more. */
  readonly files?: readonly string[];
}

/** What a run knows that this module cannot find out. */
export interface ProvenanceInputs {
  readonly recipe: unknown;
  readonly overrides: readonly string[];
  readonly teacher?: "pretrained" | "train";
  /** By `commitHere`, before the run. */
  readonly commit: string;
  readonly engine: Engine;
  readonly seconds: Readonly<Record<string, number>>;
  readonly files?: readonly string[];
  /** Folder of the environments; `results/environments` when not said. */
  readonly environments?: string;
}

/** Collects the provenance of a run that has just ended, and records the environment. */
export async function collectProvenance(inputs: ProvenanceInputs): Promise<Provenance> {
  const { recipe, overrides, teacher, commit, engine, seconds, files, environments } = inputs;
  return {
    date: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
    commit,
    recipe: hashOf(recipe),
    overrides,
    ...(teacher === "train" && { teacher }),
    engine: `${engine.version} (${engine.kind}) on ${engine.device}`,
    threads: engine.threads,
    seconds: Object.fromEntries(Object.entries(seconds).map(([stage, value]) => [stage, Math.round(value * 10) / 10])),
    environment: await recordEnvironment(await describeEnvironment(engine), environments),
    ...(files && { files }),
  };
}

/** Writes `provenance.json`, whole or not at all. */
export async function writeProvenance(path: string, provenance: Provenance): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(provenance, null, 2)}\n`);
}

/** @throws {Problem} when the file is missing or is not what `writeProvenance` writes. */
export async function readProvenance(path: string): Promise<Provenance> {
  return parseProvenance(path, await readText(path));
}

/** The same for text that is already here; `path` is its name in messages. */
export function parseProvenance(path: string, text: string): Provenance {
  return parseJson(path, text, (json) => schema.parse(json), runAgain);
}

/** More may stand there: a later version's results are still read. */
const schema = z.object({
  date: z.string(),
  commit: z.string(),
  recipe: z.string(),
  overrides: z.array(z.string()),
  teacher: z.literal("train").exactOptional(),
  engine: z.string(),
  threads: z.int(),
  seconds: z.record(z.string(), z.number()),
  environment: z.string(),
  // Names alone: they are removed without asking.
  files: z.array(z.string().regex(/^[^/\\]+\.(json|md|png|svg|yaml)$/)).exactOptional(),
});

/**
 * The commit of the working folder, `+dirty` when tracked files differ from it.
 * Asked before a run: while one goes on, work may go on too.
 */
export async function commitHere(): Promise<string> {
  const head = await git(["rev-parse", "HEAD"]);
  if (head === undefined) return "unknown"; // no git here: provenance says so
  const changes = await git(["status", "--porcelain", "--untracked-files=no", "--", ".", ":!results"]);
  return changes?.trim() === "" ? head.trim() : `${head.trim()}+dirty`;
}
