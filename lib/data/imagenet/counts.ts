import { Problem } from "../../core/problem.ts";
import { checkClassNames } from "./class_order.ts";
import type { ImageSource } from "./source.ts";

/** How many images and classes a recipe counts on. */
export interface Expected {
  readonly train: number;
  readonly test: number;
  readonly classes: number;
}

/** ILSVRC 2012: 1281167 training and 50000 validation images of 1000 classes. */
export const published: Expected = { train: 1_281_167, test: 50_000, classes: 1000 };
/** The fewest and the most images of a class in it. */
const perClass = { train: [732, 1300], test: [50, 50] } as const;

/**
 * Compares what was found with what was expected, before anything is decoded.
 *
 * @throws {Problem} saying what is missing or too much, and in which classes
 */
export function checkCounts(
  where: string,
  { labels, classNames }: Pick<ImageSource, "labels" | "classNames">,
  split: "train" | "test",
  expected: Expected,
): void {
  const count = new Map<number, number>();
  for (const label of labels) count.set(label, (count.get(label) ?? 0) + 1);
  const nameOf = (label: number) => classNames?.[label] ?? `class ${label}`;
  const refuse = (what: string) =>
    new Problem(
      `Cannot use the ${split} images in ${where}: ${what}; complete them, or if they are a set of your own say so with ` +
        `data.expect.${split}=N and data.expect.classes=N`,
    );
  const outside = labels.find((label) => label >= expected.classes);
  if (outside !== undefined) {
    throw refuse(`there is an image of ${nameOf(outside)}, expected classes 0 to ${expected.classes - 1}`);
  }
  const isPublished = expected[split] === published[split] && expected.classes === published.classes;
  const [least, most] = isPublished ? perClass[split] : [1, Infinity];
  const odd = Array.from({ length: expected.classes }, (_, label) => label)
    .filter((label) => (count.get(label) ?? 0) < least || (count.get(label) ?? 0) > most);
  const total = labels.length === expected[split] ? "" : `there are ${labels.length}, expected ${expected[split]}`;
  if (total !== "" || odd.length > 0) {
    const range = least === most ? `${least}` : most === Infinity ? "some" : `${least} to ${most}`;
    const listed = odd.slice(0, 10).map((label) => `${nameOf(label)} has ${count.get(label) ?? 0}`);
    const rest = odd.length > listed.length ? `, and ${odd.length - listed.length} more` : "";
    const inClasses = odd.length > 0 ? `${listed.join(", ")}${rest} (expected ${range})` : "";
    throw refuse([total, inClasses].filter((text) => text !== "").join("; "));
  }
  if (classNames) checkClassNames(where, classNames);
}
