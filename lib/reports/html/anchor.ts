/**
 * The `id` of a result or of one of its figures, as its link names it. Different names give different anchors.
 *
 * @example
 * ```ts
 * import { anchor } from "./anchor.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(anchor("table4/desk", "SD-FM / 131072 / heun 7 / frechet"), "table4/desk/SD-FM/131072/heun.7/frechet");
 * ```
 */
export function anchor(...names: readonly string[]): string {
  return names.map((name) => name.replaceAll(" / ", "/").replace(/[^A-Za-z0-9/-]/g, escaped)).join("/");
}

/** The anchor of the cell that shows a figure first: where its provenance leads back to. */
export function cellAnchor(...names: readonly string[]): string {
  return `cell/${anchor(...names)}`;
}

function escaped(character: string): string {
  return character === " " ? "." : `_${character.codePointAt(0)!.toString(16)}_`;
}
