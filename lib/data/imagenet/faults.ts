import { Problem } from "../../core/problem.ts";
import type { ChunkRecord, Fault } from "./chunk.ts";
import type { Manifest, PreparationPlan } from "./prepared.ts";

/** What to do with images that are not upright RGB: name them and stop, or convert them and say how many. */
export type UnusualPolicy = "refuse" | "convert";

/** Names in a message, at most. */
const mostNamed = 10;

/** Images that cannot be used, as one message: up to ten by name, then how many more. */
export function listFaults({ root, split }: PreparationPlan, faults: readonly Fault[], stopped: boolean): Problem {
  const sorted = faults.toSorted(([a], [b]) => a < b ? -1 : 1);
  return new Problem(
    `Cannot use ${faults.length}${stopped ? " or more" : ""} of the ${split} images in ${root}:\n` +
      `${named(sorted, faults.length)}\nReplace them and run again: what is prepared is kept. To do without them, ` +
      `remove them and say how many are left: data.expect.${split}=N`,
  );
}

/** The unusual images of some chunks, summed up by what is unusual about them. */
export function sumUnusual(records: readonly ChunkRecord[]): Manifest["unusual"] {
  const names = new Map<string, string[]>();
  for (const [name, what] of records.flatMap(({ unusual }) => unusual)) {
    names.set(what, [...names.get(what) ?? [], name]);
  }
  return [...names].map(([what, all]) => ({ what, count: all.length, names: all.toSorted().slice(0, mostNamed) }))
    .toSorted((a, b) => b.count - a.count || (a.what < b.what ? -1 : 1));
}

/** That images are unusual and the recipe refuses such, as one message. */
export function refusal({ root, split }: PreparationPlan, unusual: Manifest["unusual"], stopped: boolean): Problem {
  const count = unusual.reduce((sum, one) => sum + one.count, 0);
  const some = unusual.flatMap(({ what, names }) => names.map((name): Fault => [name, `is ${what}`]));
  return new Problem(
    `${count}${stopped ? " or more" : ""} of the ${split} images in ${root} are not upright RGB files ` +
      `(${inWords(unusual)}):\n${named(some, count)}\n` +
      'data.unusual=convert turns them to RGB as Pillow\'s convert("RGB") does, which is what the downsampled ' +
      "ImageNet of Chrabaszcz et al. does; what is prepared is kept",
  );
}

/** `17180 grey, 22 CMYK` */
export function inWords(unusual: Manifest["unusual"]): string {
  return unusual.map(({ what, count }) => `${count} ${what}`).join(", ");
}

function named(faults: readonly Fault[], count: number): string {
  const lines = faults.slice(0, mostNamed).map(([name, what]) => `  ${name} ${what}`);
  return [...lines, ...(count > lines.length ? [`  and ${count - lines.length} more`] : [])].join("\n");
}
