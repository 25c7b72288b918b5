import { hashOf } from "./hash.ts";

/**
 * The first value in which two structures of maps, lists and scalars differ, as a clause.
 *
 * @example
 * ```ts
 * import { firstDifference } from "./difference.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(firstDifference({ student: { width: 64 } }, { student: { width: 128 } }), "student.width was 64, is 128");
 * ```
 */
export function firstDifference(before: unknown, now: unknown, path = ""): string {
  const [old, young] = [short(before), short(now)];
  // Lists stand whole in the clause, unless they are so long that the cut hides what differs.
  const listsAlike = Array.isArray(before) && Array.isArray(now) && old === young;
  if (isMap(before) && isMap(now) || listsAlike) {
    const [a, b] = [before, now] as [Record<string, unknown>, Record<string, unknown>];
    for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
      if (hashOf([a[name] ?? null]) === hashOf([b[name] ?? null])) continue;
      return firstDifference(a[name], b[name], path ? `${path}.${name}` : name);
    }
  }
  return `${path} was ${old}, is ${young}`;
}

const isMap = (x: unknown): boolean => typeof x === "object" && x !== null && !Array.isArray(x);

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? "absent";
  return text.length > 24 ? `${text.slice(0, 20)}…` : text;
}
