import { parse } from "@std/yaml";
import { nearest, Problem } from "../core/problem.ts";
import { unknownKey } from "./explain.ts";
import { keysOfKind, placeAt } from "./keys.ts";
import { hasPath, isMapping, type Mapping, pathsOf, valueAt, withoutPath, withValueAt } from "./mapping.ts";
import { matchPaths } from "./match.ts";
import type { Origin } from "./resolve.ts";
import { recipeSchema } from "./schema.ts";

/** One override of the command line, in Hydra's grammar. */
interface Override {
  readonly text: string;
  /** `=` changes a key that is there, `+` adds one, `++` does either, `~` deletes. */
  readonly action: "=" | "+" | "++" | "~";
  readonly key: readonly string[];
  /** Several are a sweep. */
  readonly values: readonly unknown[];
}

/** The changed recipe, still to be checked, and what changed where. */
export interface Overridden {
  readonly value: Mapping;
  readonly origins: readonly Origin[];
}

/**
 * Applies overrides from left to right: `student.training.batch=32`, a short
 * form that can mean only one key (`student.batch=32`), `+key=value` to add,
 * `++key=value` for either, `~key` to delete. A step that has a dot or an `=`
 * in it stands in quotes: `rows."η=0.1".teacher.noiseStd=0.15`. A comma list is
 * a sweep: `seed=1,2,3` gives those seeds; any other makes one row per value.
 *
 * @throws {Problem} naming the override, with the nearest key or the candidates.
 */
export function applyOverrides(recipe: Mapping, texts: readonly string[]): Overridden {
  return texts.map(parseOverride).reduce<Overridden>(apply, { value: recipe, origins: [] });
}

function parseOverride(text: string): Override {
  const [, sign = "", key = "", rest] = text.match(/^(\+\+|\+|~)?((?:"[^"]*"|[^="])*)(?:=(.*))?$/s) ?? [];
  if (!/^("[^"]+"|[^\s."][^."]*)(\.("[^"]+"|[^."]+))*$/.test(key)) {
    throw new Problem(`${text}: expected key=value, for example student.batch=32`);
  }
  const action = sign === "" ? "=" : sign as Override["action"];
  if (action === "~" && rest !== undefined) {
    throw new Problem(`${text}: ~ deletes a key and takes no value; write ~${key}`);
  }
  if (action !== "~" && rest === undefined) throw new Problem(`${text}: expected a value, as in ${sign}${key}=VALUE`);
  const values = action === "~" ? [] : splitSweep(rest!).map((word) => parseValue(text, word));
  const steps = key.match(/"[^"]+"|[^."]+/g)!.map((step) => step.replaceAll('"', ""));
  return { text, action, key: steps, values };
}

/** Splits at the commas that no bracket or quote encloses. */
function splitSweep(text: string): readonly string[] {
  const words: string[] = [""];
  let depth = 0;
  let quote = "";
  for (const char of text) {
    if (quote !== "") quote = char === quote ? "" : quote;
    else if (char === '"' || char === "'") quote = char;
    else if ("[{".includes(char)) depth++;
    else if ("]}".includes(char)) depth--;
    if (char === "," && depth === 0 && quote === "") words.push("");
    else words[words.length - 1] += char;
  }
  return words;
}

function parseValue(text: string, word: string): unknown {
  try {
    const value = parse(word);
    if (value !== null || /^(null|~)$/.test(word.trim())) return value;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
  const shown = word.trim() === "" ? "nothing" : JSON.stringify(word);
  throw new Problem(`${text}: expected a number, a word, true, false, [a list] or {a: map}, got ${shown}`);
}

function apply({ value, origins }: Overridden, override: Override): Overridden {
  const { text, action, values } = override;
  const path = findKey(value, override);
  const done = (changed: Mapping, ...paths: readonly (readonly string[])[]): Overridden => ({
    value: changed,
    origins: [...origins, ...paths.map((one) => ({ path: one, text }))],
  });
  if (action === "~") return done(withoutPath(value, path), path);
  if (path.join() === "seeds" && !(values.length === 1 && Array.isArray(values[0]))) {
    return done(withValueAt(value, path, values), path);
  }
  if (values.length > 1) return sweep({ value, origins }, override, path);
  return done(withOverride(value, path, values[0]), path);
}

/** Sets one key. A new `kind` leaves behind the options that only the old one has. */
function withOverride(value: Mapping, path: readonly string[], replacement: unknown): Mapping {
  const changed = withValueAt(value, path, replacement);
  const parent = path.slice(0, -1);
  const siblings = valueAt(changed, parent);
  if (path.at(-1) !== "kind" || typeof replacement !== "string" || !isMapping(siblings)) return changed;
  const kept = keysOfKind(recipeSchema, parent, replacement, changed);
  const entries = Object.entries(siblings).filter(([key]) => kept?.has(key) ?? true);
  return withValueAt(changed, parent, Object.fromEntries(entries));
}

/** One row per value, named after it. Only what a row may state for itself can be swept. */
function sweep({ value, origins }: Overridden, { text, values }: Override, path: readonly string[]): Overridden {
  const [part, row] = path;
  const ofOneRow = part === "rows" && path.length > 2;
  if (!ofOneRow && !["teacher", "student", "flips"].includes(part!)) {
    throw new Problem(
      `${text}: cannot sweep over ${
        path.join(".")
      }; sweep over seeds, teacher, student, flips or rows.ROW keys, or give one run per value`,
    );
  }
  const inner = ofOneRow ? path.slice(2) : path;
  const label = inner.at(-1)!;
  const swept: [string, unknown][] = [];
  const made: Origin[] = [];
  for (const [name, member] of Object.entries(value["rows"] as Mapping)) {
    if (ofOneRow && name !== row) {
      swept.push([name, member]);
      continue;
    }
    for (const one of values) {
      const named = `${name}, ${label}=${Array.isArray(one) ? one.join(" ") : one}`;
      swept.push([named, withOverride(member as Mapping, inner, one)]);
      made.push({ path: ["rows", named, ...inner], text });
    }
  }
  return { value: withValueAt(value, ["rows"], Object.fromEntries(swept)), origins: [...origins, ...made] };
}

/** The full path that an override's key means. */
function findKey(value: Mapping, { text, action, key }: Override): readonly string[] {
  const typed = key.length === 1 && key[0] === "seed" ? ["seeds"] : key;
  const there = pathsOf(value);
  if (typed[0] === "experiment" || typed[0] === "scale") {
    throw new Problem(
      `${text}: "${typed[0]}" is no setting; name the experiment as a command's word, the scale by --scale`,
    );
  }
  const list = typed.findIndex((_, i) => i > 0 && Array.isArray(valueAt(value, typed.slice(0, i))));
  if (list > 0) throw new Problem(`${text}: a list is replaced as a whole: ${typed.slice(0, list).join(".")}=[…]`);
  const isKnown = hasPath(value, typed) || isInSchema(value, typed);
  if (action === "+") {
    if (hasPath(value, typed)) {
      throw new Problem(`${text}: ${typed.join(".")} is already there; drop the +, or write ++`);
    }
    return typed;
  }
  if (isKnown || action === "++") return typed;
  const matches = matchPaths(typed, there);
  if (matches.length === 1) return matches[0]!;
  if (matches.length > 1) {
    const names = matches.map(keyText);
    throw new Problem(`${text}: "${typed.join(".")}" could be ${names.join(" or ")}; write more of it`);
  }
  throw new Problem(`${text}: ${unknownSentence(value, typed, there)}`);
}

function unknownSentence(value: Mapping, typed: readonly string[], there: readonly (readonly string[])[]): string {
  const depth = typed.findIndex((_, i) => !hasPath(value, typed.slice(0, i + 1)));
  const names = there.map(keyText);
  const similar = nearest(keyText(typed), names) ?? nearestByLast(typed, there);
  if (similar !== undefined) return `unknown key "${typed.join(".")}"; did you mean "${similar}"?`;
  return `unknown key "${typed.join(".")}"; ` +
    unknownKey(recipeSchema, value, typed.slice(0, depth + 1), []).sentence.replace("unknown key; ", "");
}

/** For `student.widht`: the paths whose last step is nearest, and of those the one that fits the rest. */
function nearestByLast(typed: readonly string[], there: readonly (readonly string[])[]): string | undefined {
  const last = nearest(typed.at(-1)!, new Set(there.map((path) => path.at(-1)!)));
  if (last === undefined) return undefined;
  const match = matchPaths([...typed.slice(0, -1), last], there)[0];
  return match && keyText(match);
}

/** A path as `parseOverride` reads it. */
const keyText = (path: readonly string[]) => path.map((step) => /[.=]/.test(step) ? `"${step}"` : step).join(".");

/** Whether a key that is not written is one that the schema has: an option left at nothing, or a row's own difference. */
function isInSchema(value: Mapping, typed: readonly string[]): boolean {
  const [part, row, ...inner] = typed;
  if (part === "rows" && row !== undefined && inner.length > 0 && inner[0] !== "coupling") {
    return hasPath(value, ["rows", row]) && (hasPath(value, inner) || isInSchema(value, inner)) && inner[0] !== "rows";
  }
  const keys = placeAt(recipeSchema, typed.slice(0, -1), value)?.keys;
  return keys !== undefined && hasPath(value, typed.slice(0, -1)) && keys.includes(typed.at(-1)!);
}
