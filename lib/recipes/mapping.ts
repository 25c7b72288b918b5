/** A map of a recipe before it is checked. */
export type Mapping = { readonly [key: string]: unknown };
/** Where a value is: keys and list indices from the top. */
export type Path = readonly PropertyKey[];

/** Whether a value is a map: not a list, not a date, not nothing. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** The value at `path`, or `undefined`. */
export function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const step of path) {
    if (Array.isArray(at)) at = at[Number(step)];
    else if (isMapping(at) && Object.hasOwn(at, step)) at = at[String(step)];
    else return undefined;
  }
  return at;
}

/** Whether something, even nothing, is written at `path`. */
export function hasPath(value: unknown, path: Path): boolean {
  const parent = valueAt(value, path.slice(0, -1));
  const last = path.at(-1);
  if (last === undefined) return true;
  return Array.isArray(parent) ? Number(last) in parent : isMapping(parent) && Object.hasOwn(parent, last);
}

/** `value` with `replacement` at `path`; maps on the way are made, the original is untouched. */
export function withValueAt(value: Mapping, path: readonly string[], replacement: unknown): Mapping {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  const child = Object.hasOwn(value, step) ? value[step] : undefined;
  const inner = rest.length === 0 ? replacement : withValueAt(isMapping(child) ? child : {}, rest, replacement);
  return fromEntries([...Object.entries(value), [step, inner]]);
}

/** `value` without what is at `path`. */
export function withoutPath(value: Mapping, path: readonly string[]): Mapping {
  const [step, ...rest] = path;
  const entries = Object.entries(value);
  if (rest.length === 0) return fromEntries(entries.filter(([key]) => key !== step));
  return fromEntries(
    entries.map(([key, member]) => [key, key === step && isMapping(member) ? withoutPath(member, rest) : member]),
  );
}

/** Every path to a map member, parents before children, in the order written. */
export function pathsOf(value: unknown, prefix: readonly string[] = []): readonly (readonly string[])[] {
  if (!isMapping(value)) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const path = [...prefix, key];
    return [path, ...pathsOf(member, path)];
  });
}

/**
 * `difference` laid over `original`: maps merge by key, lists and scalars
 * replace, `null` deletes (see `deletionsIn`). Where the difference names another `kind`, the options that only
 * the old kind knows are left behind; `known(path, kind)` says which a kind has.
 */
export function merge(
  original: unknown,
  difference: unknown,
  known: (path: Path, kind: string) => ReadonlySet<string> | undefined = () => undefined,
  path: Path = [],
): unknown {
  if (!isMapping(original) || !isMapping(difference)) return difference;
  const kind = difference["kind"];
  const changed = typeof kind === "string" && kind !== original["kind"] ? known(path, kind) : undefined;
  const kept = changed ? fromEntries(Object.entries(original).filter(([key]) => changed.has(key))) : original;
  const merged = Object.entries(difference).map(([key, value]): [string, unknown] => [
    key,
    Object.hasOwn(kept, key) ? merge(kept[key], value, known, [...path, key]) : value,
  ]);
  return fromEntries([...Object.entries(kept), ...merged].filter(([key]) => difference[key] !== null));
}

/** The paths of a difference that say `null`: what `merge` deletes. */
export function deletionsIn(difference: unknown): readonly (readonly string[])[] {
  return pathsOf(difference).filter((path) => valueAt(difference, path) === null);
}

/** `Object.fromEntries` in which the first mention of a key fixes its place and the last its value. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): Mapping {
  return Object.fromEntries(new Map(entries));
}
