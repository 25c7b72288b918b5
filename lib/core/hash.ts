import { createHash } from "node:crypto";
import { Problem } from "./problem.ts";

/**
 * A value as JSON with the keys of every map sorted and no spaces: equal values
 * give equal text whatever order they were built in. `undefined` members of a
 * map are left out, as `JSON.stringify` does.
 *
 * @throws {TypeError} for a number that JSON has no form for (NaN, ±Infinity): a hash must not hide one as null.
 *
 * @example
 * ```ts
 * import { canonicalJson } from "./hash.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(canonicalJson({ b: [1, 2], a: "x" }), '{"a":"x","b":[1,2]}');
 * ```
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([a], [b]) => a < b ? -1 : 1);
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(",")}}`;
  }
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`Cannot write ${value} as JSON`);
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`Cannot write a ${typeof value} as JSON`);
  return text;
}

/** SHA-256 of bytes as they are, of text as UTF-8, of anything else as canonical JSON; lower-case hex. */
export function hashOf(value: unknown): string {
  const content = value instanceof Uint8Array || typeof value === "string" ? value : canonicalJson(value);
  return createHash("sha256").update(content).digest("hex");
}

/**
 * SHA-256 of a file's bytes, lower-case hex, read piece by piece.
 *
 * @throws {Problem} when the file is missing (exit code 2) or cannot be read (74).
 */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    using file = await Deno.open(path, { read: true });
    const buffer = new Uint8Array(1 << 20);
    for (let read = await file.read(buffer); read !== null; read = await file.read(buffer)) {
      hash.update(buffer.subarray(0, read));
    }
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    const reason = missing ? "it does not exist" : error instanceof Error ? error.message : String(error);
    throw new Problem(`Cannot read ${path}: ${reason}`, { cause: error, exitCode: missing ? 2 : 74 });
  }
  return hash.digest("hex");
}
