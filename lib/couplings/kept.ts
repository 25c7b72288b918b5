import { join } from "node:path";
import * as z from "zod";
import { exists, readText, writeFileAtomic } from "../core/files.ts";
import { hashOf } from "../core/hash.ts";

/** What a fit leaves behind: vectors, which are kept in float32, and the facts about them. */
export interface Fitted {
  readonly vectors: readonly Float32Array[];
  readonly facts: Readonly<Record<string, number>>;
}

const file = z.strictObject({
  key: z.string(),
  digest: z.string(),
  vectors: z.array(z.array(z.number())),
  facts: z.record(z.string(), z.number()),
});

/**
 * The result of `fit`, or the one kept in `folder` from an earlier run under
 * the same `key`. A file that is damaged, or was made under another key, is
 * replaced. Without a folder nothing is kept.
 *
 * @param key everything that the result depends on, as JSON
 * @throws {Problem} exit code 74, when the result cannot be written
 */
export async function keep(
  folder: string | undefined,
  name: string,
  key: unknown,
  fit: () => Promise<Fitted>,
): Promise<Fitted> {
  if (folder === undefined) return await fit();
  const path = join(folder, `${name}.json`), keyHash = hashOf(key);
  const found = await exists(path) ? parse(await readText(path).catch(() => ""), keyHash) : undefined;
  if (found) return found;
  const { vectors, facts } = await fit();
  const content = { vectors: vectors.map((vector) => Array.from(vector)), facts };
  await writeFileAtomic(path, JSON.stringify({ key: keyHash, digest: hashOf(content), ...content }));
  return { vectors, facts };
}

function parse(text: string, keyHash: string): Fitted | undefined {
  const parsed = file.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const { key, digest, ...content } = parsed.data;
  if (key !== keyHash || digest !== hashOf(content)) return undefined;
  return { vectors: content.vectors.map((vector) => Float32Array.from(vector)), facts: content.facts };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
