import type * as z from "zod";
import { nearest } from "../core/problem.ts";
import { describe } from "./document.ts";
import { type Place, placeAt, typeNames } from "./keys.ts";
import { hasPath, isMapping, type Path, valueAt } from "./mapping.ts";
import { matchPaths } from "./match.ts";

/** One thing wrong with a recipe: where it is and what it is, in words. */
export interface Fault {
  readonly path: Path;
  /** Without the path and the position, which the reader of the file adds. */
  readonly sentence: string;
  /** Whether the key itself is at fault, rather than its value. */
  readonly at: "key" | "value";
}

/** What a schema found wrong with `value`, in words. `known` are full paths to suggest. */
export function explainIssues(
  schema: z.ZodType,
  value: unknown,
  issues: readonly z.core.$ZodIssue[],
  known: readonly (readonly string[])[] = [],
): readonly Fault[] {
  const faults = issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key): Fault => unknownKey(schema, value, [...issue.path, key], known));
    }
    // Without a known kind nothing else can be checked: is it there under another name?
    const parent = issue.path.at(-1) === "kind" ? issue.path.slice(0, -1) : issue.path;
    const siblings = valueAt(value, parent);
    const hasKinds = placeAt(schema, parent, value)?.keys?.includes("kind");
    if (issue.code !== "invalid_union" || !hasKinds || !isMapping(siblings)) return [explain(schema, value, issue)];
    const path = [...parent, "kind"];
    const typo = "kind" in siblings ? undefined : nearest("kind", Object.keys(siblings));
    if (typo === undefined) return [explain(schema, value, { ...issue, path })];
    const sentence = `unknown key; did you mean "${path.join(".")}"?`;
    return [{ path: [...parent, typo], at: "key", sentence } satisfies Fault];
  });
  // A misspelt key is both unknown and missing: the first says more.
  return faults.toSorted((a, b) => Number(isUnknown(b)) - Number(isUnknown(a)));
}

const isUnknown = ({ sentence }: Fault) => sentence.startsWith("unknown key");

/** A key that the schema does not have at its place, with the nearest one that it does. */
export function unknownKey(
  schema: z.ZodType,
  value: unknown,
  path: Path,
  known: readonly (readonly string[])[],
): Fault {
  const keys = placeAt(schema, path.slice(0, -1), value)?.keys ?? [];
  const key = String(path.at(-1));
  const sibling = nearest(key, keys);
  const others = known.filter((one) => one.join(".") !== path.join("."));
  const elsewhere = matchPaths(path.map(String), others)[0]?.join(".");
  const meant = sibling !== undefined ? [...path.slice(0, -1), sibling].join(".") : elsewhere;
  const instead = meant !== undefined ? `did you mean "${meant}"?` : `expected one of ${keys.join(", ")}`;
  return { path, at: "key", sentence: `unknown key; ${instead}` };
}

function explain(schema: z.ZodType, value: unknown, issue: z.core.$ZodIssue): Fault {
  const path = issue.path;
  const got = valueAt(value, path);
  const place = placeAt(schema, path, value);
  const about = place?.description ? ` (${lowerFirst(place.description)})` : "";
  if (!hasPath(value, path)) return { path, at: "key", sentence: `missing${choices(place)}${about}` };
  if (issue.code === "invalid_key") {
    return { path, at: "key", sentence: `cannot be a name; expected letters, digits, spaces and _ . + = , ( ) -` };
  }
  if (issue.code === "custom") return { path, at: "value", sentence: `${issue.message}, got ${describe(got)}` };
  if (place?.choices) {
    const meant = typeof got === "string" ? nearest(got, place.choices) : undefined;
    const instead = meant === undefined ? "" : `; did you mean "${meant}"?`;
    return { path, at: "value", sentence: `expected ${listed(place.choices)}, got ${describe(got)}${instead}` };
  }
  const wanted = place?.forms?.join(" or ") ?? expectation(issue);
  return { path, at: "value", sentence: `expected ${wanted}, got ${describe(got)}${about}` };
}

const choices = (place: Place | undefined) => place?.choices ? `; expected ${listed(place.choices)}` : "";
const listed = (words: readonly string[]) => words.length === 1 ? words[0]! : `one of ${words.join(", ")}`;
const lowerFirst = (text: string) => /^\p{Lu}\p{Ll}/u.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return typeNames[issue.expected] ?? issue.expected;
    case "invalid_union":
      return "a map with a kind";
    case "too_small":
      return bound(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum);
    case "too_big":
      return bound(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum);
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    default:
      return lowerFirst(issue.message);
  }
}

function bound(origin: string, words: string, limit: number | bigint): string {
  if (origin === "array") return `a list of ${words} ${limit}`;
  if (origin === "string") return `text of ${words} ${limit} characters`;
  return `a number of ${words} ${limit}`.replace("number of less", "number less").replace(
    "number of more",
    "number more",
  );
}
