import type * as z from "zod";
import { type Path, valueAt } from "./mapping.ts";

/** The parts of a zod schema's definition that lead from a map to its members. */
interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly innerType?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly values?: readonly unknown[];
  readonly entries?: Readonly<Record<string, unknown>>;
}

/** What may stand at a place of a recipe. */
export interface Place {
  /** The keys of a map here; `undefined` where any key may stand (rows) or none (a number). */
  readonly keys?: readonly string[];
  /** The kinds of a registry, where this is a `kind`; the words of a choice. */
  readonly choices?: readonly string[];
  /** Where several forms may stand: `infinite`, `a number`. */
  readonly forms?: readonly string[];
  readonly description?: string;
}

/**
 * What the schema has at `path`. Where the way leads through a registry, the
 * `kind` written in `value` decides; without one, the keys of all kinds.
 */
export function placeAt(schema: z.ZodType, path: Path, value?: unknown): Place | undefined {
  let at: readonly z.ZodType[] = [schema];
  for (const [depth, step] of path.entries()) {
    const kind = valueAt(value, [...path.slice(0, depth), "kind"]);
    at = at.flatMap((one) => cases(one, kind)).flatMap((one) => memberOf(one, step));
    if (at.length === 0) return undefined;
  }
  const kind = valueAt(value, [...path, "kind"]);
  const shapes = at.flatMap((one) => cases(one, kind)).map((one) => definition(one).shape)
    .filter((shape) => shape !== undefined);
  const description = at[0]!.description;
  const choices = [...new Set(at.flatMap((one) => choicesOf(one)))];
  const forms = [...new Set(at.flatMap((one) => formsOf(one)))];
  return {
    ...(forms.length > 0 && { forms }),
    ...(shapes.length > 0 && { keys: [...new Set(shapes.flatMap((shape) => Object.keys(shape)))] }),
    ...(choices.length > 0 && { choices }),
    ...(description !== undefined && { description }),
  };
}

/** The keys that `kind` of the registry at `path` has, `kind` itself among them. */
export function keysOfKind(
  schema: z.ZodType,
  path: Path,
  kind: string,
  value: unknown,
): ReadonlySet<string> | undefined {
  const withKind = { kind };
  const parent = placeAt(schema, path, mergeKind(value, path, withKind));
  return parent?.keys && new Set(parent.keys);
}

function mergeKind(value: unknown, path: Path, leaf: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return leaf;
  const inner = mergeKind(valueAt(value, [step]), rest, leaf);
  return { ...(typeof value === "object" ? value : {}), [step]: inner };
}

const definition = (schema: z.ZodType) => schema.def as unknown as Definition;

/** Unwraps optional and defaulted schemas; of a registry, the case of `kind`, or all. */
function cases(schema: z.ZodType, kind: unknown): readonly z.ZodType[] {
  const { innerType, options } = definition(schema);
  if (innerType) return cases(innerType, kind);
  if (!options) return [schema];
  const named = options.filter((option) => {
    const tag = definition(option).shape?.["kind"];
    return tag !== undefined && definition(tag).values?.includes(kind);
  });
  return named.length > 0 ? named : options;
}

function memberOf(schema: z.ZodType, step: PropertyKey): readonly z.ZodType[] {
  const { shape, valueType, element } = definition(schema);
  if (shape) return Object.hasOwn(shape, step) ? [shape[String(step)]!] : [];
  return valueType ? [valueType] : element ? [element] : [];
}

function choicesOf(schema: z.ZodType): readonly string[] {
  const { innerType, values, entries } = definition(schema);
  if (innerType) return choicesOf(innerType);
  return (entries ? Object.values(entries) : values ?? []).map(String);
}

/** The forms of a union that no `kind` tells apart. */
function formsOf(schema: z.ZodType): readonly string[] {
  const { innerType, options } = definition(schema);
  if (innerType) return formsOf(innerType);
  return (options ?? []).flatMap((option) => {
    const { type, values, shape } = definition(option);
    return shape ? [] : values ? values.map(String) : [typeNames[type] ?? type];
  });
}

/** Zod's names of types in words. */
export const typeNames: Readonly<Record<string, string>> = {
  int: "an integer",
  number: "a number",
  string: "text",
  boolean: "true or false",
  array: "a list",
  tuple: "a list",
  object: "a map",
  record: "a map",
};
