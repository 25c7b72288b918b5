import { z } from "zod";
import { exists, readText } from "./files.ts";
import { Problem } from "./problem.ts";

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
    const key = first && first.path.length > 0 ? `${first.path.join(".")}: ` : "";
    const reason = first ? `${key}${first.message}` : (error as Error).message;
    throw new Problem(`Cannot read ${path}: ${reason}${remedy ? `; ${remedy}` : ""}`, { cause: error });
  }
}

/**
 * The same from a file.
 *
 * @throws {Problem} with the remedy, too, where the file is missing; exit code 74 where the disk refuses
 */
export async function readJson<Value>(path: string, check: (json: unknown) => Value, remedy: string): Promise<Value> {
  const text = await readText(path).catch((fault: Problem) => {
    if (fault.exitCode === 74) throw fault;
    throw new Problem(`${fault.message}; ${remedy}`, { cause: fault });
  });
  return parseJson(path, text, check, remedy);
}

/**
 * The same of a file that can be done without: `undefined` where it is missing or damaged.
 *
 * @throws {Problem} exit code 74 where the disk refuses: the file may well be sound
 */
export async function readJsonIfSound<Value>(
  path: string,
  check: (json: unknown) => Value,
): Promise<Value | undefined> {
  if (!await exists(path)) return undefined;
  try {
    return check(JSON.parse(await readText(path)));
  } catch (error) {
    if (error instanceof Problem && error.exitCode === 74) throw error;
    return undefined;
  }
}
