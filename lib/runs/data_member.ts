import type { DatasetKind } from "../data/kind.ts";
import * as datasets from "../data/mod.ts";
import type { DataRecipe } from "../recipes/types.ts";

/** The data that a recipe names, as a member of the registry and its options. */
export function memberOf({ kind, ...options }: DataRecipe): { member: DatasetKind<unknown>; options: unknown } {
  return { member: (datasets as Record<string, unknown>)[kind] as DatasetKind<unknown>, options };
}

/** The data of a recipe without where they lie: what of it decides what is made. */
export function withoutPlaces(recipe: DataRecipe): Readonly<Record<string, unknown>> {
  const { places = [] } = memberOf(recipe).member;
  return Object.fromEntries(Object.entries(recipe).filter(([option]) => !places.includes(option)));
}
