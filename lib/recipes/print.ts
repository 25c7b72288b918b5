import { stringify } from "@std/yaml";
import { parseRecipeText } from "./document.ts";
import { hasPath, isMapping, type Mapping, pathsOf, valueAt } from "./mapping.ts";
import type { Remarks } from "./remarks.ts";
import { checkRecipe } from "./resolve.ts";
import type { ResolvedRecipe } from "./types.ts";

/** A resolved recipe as YAML, one key a line, in the schema's order: what `resolved.yaml` holds. */
export function printRecipe(recipe: ResolvedRecipe): string {
  return print(recipe, []).join("\n") + "\n";
}

/**
 * Reads what `printRecipe` wrote.
 *
 * @throws {Problem} one line with file, line and column.
 */
export async function readResolved(file: string, text: string): Promise<ResolvedRecipe> {
  const document = await parseRecipeText(file, text);
  return await checkRecipe(document.value, [{ document, at: [] }]);
}

/**
 * A recipe as YAML with Sacred's marks: what was changed, what was added, what changed its type, what is gone. Where
 * nothing was, what its files remark on the key.
 */
export function printChanges(asWritten: ResolvedRecipe, recipe: ResolvedRecipe, remarks?: Remarks): string {
  const remark = (path: readonly string[]) => {
    const words = isMapping(valueAt(recipe, path)) ? undefined : remarks?.of(path);
    return words === undefined ? "" : `  # ${words}`;
  };
  const lines = print(recipe, [], (path) => mark(asWritten, recipe, path) || remark(path));
  const gone = pathsOf(asWritten).filter((path) => !hasPath(recipe, path) && hasPath(recipe, path.slice(0, -1)));
  return [...lines, ...gone.map((path) => `# removed: ${path.join(".")}`)].join("\n") + "\n";
}

type Marker = (path: readonly string[]) => string;

function print(value: Mapping, path: readonly string[], marker: Marker = () => ""): readonly string[] {
  const indent = "  ".repeat(path.length);
  return Object.entries(value).flatMap(([key, member]) => {
    const here = [...path, key];
    const name = `${indent}${scalar(key)}:`;
    if (isMapping(member) && Object.keys(member).length > 0) {
      return [`${name}${marker(here)}`, ...print(member, here, marker)];
    }
    if (Array.isArray(member) && member.some(isMapping)) {
      return [`${name}${marker(here)}`, ...member.map((item) => `${indent}  - ${flow(item)}`)];
    }
    return [`${name} ${flow(member)}${marker(here)}`];
  });
}

/** A value on one line. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (!isMapping(value)) return scalar(value);
  const members = Object.entries(value).map(([key, member]) => `${scalar(key)}: ${flow(member)}`);
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}

/** A scalar as the YAML library quotes it where a list or map on one line needs it. */
function scalar(value: unknown): string {
  if (typeof value === "number" && value !== 0 && Math.abs(value) < 1e-3) {
    return value.toExponential().replace(/^(-?\d+)e/, "$1.0e");
  }
  return stringify([value], { flowLevel: 0, lineWidth: -1 }).trim().slice(1, -1);
}

function mark(before: Mapping, after: Mapping, path: readonly string[]): string {
  if (!hasPath(before, path)) return hasPath(before, path.slice(0, -1)) ? "  # added" : "";
  const [old, now] = [valueAt(before, path), valueAt(after, path)];
  if (isMapping(old) && isMapping(now) || flow(old) === flow(now)) return "";
  const retyped = typeOf(old) === typeOf(now) ? "" : `, ${typeOf(old)}`;
  return `  # was ${isMapping(old) ? "a map" : flow(old)}${retyped}`;
}

const typeOf = (value: unknown) => Array.isArray(value) ? "a list" : isMapping(value) ? "a map" : `a ${typeof value}`;
