import { z } from "zod";
import { Problem } from "../core/problem.ts";

/**
 * Reads JSON text that has a form.
 *
 * @param path the file's name in messages
 * @param check returns the value, or throws a `ZodError` or another error that says what is wrong
 * @param remedy what to do about a file that cannot be read
 * @throws {Problem} naming the file and the first key that is not as it should be
 */
export function parseJson<Value>(path: string, text: string, check: (json: unknown) => Value, remedy?: string): Value {
  try {
    return check(JSON.parse(text));
  } catch (error) {
    const first = error instanceof z.ZodError ? error.issues[0] : undefined;
    const reason = first ? `${first.path.join(".")}: ${first.message}` : (error as Error).message;
    throw new Problem(`Cannot read ${path}: ${reason}${remedy ? `; ${remedy}` : ""}`, { cause: error });
  }
}

/** A map as JSON text, a member a line, for git to compare. */
export function memberLines(members: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(members).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}

/** The remedy for what a run writes. */
export const runAgain = "run the experiment again to write it anew";
