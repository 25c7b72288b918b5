import fc from "fast-check";
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { type Change, compareCaptions, compareFigures, type Verdict } from "../../lib/results/compare.ts";
import { type Figure, parseFigures, printFigures } from "../../lib/results/figures.ts";
import { smallTable } from "./temporary_project.ts";

const metrics = Object.keys(smallTable().metrics);
const key = fc.tuple(fc.constantFrom("FM", "SD-FM", "NFM"), fc.nat(3), fc.constantFrom(...metrics))
  .map(([row, checkpoint, metric]) => `${row} / ${64 << checkpoint} / ${metric}`);
const figure = fc.record({
  value: fc.double({ min: -100, max: 100, noNaN: true }),
  standardError: fc.double({ min: 0, max: 10, noNaN: true }),
  sampleCount: fc.nat(1000),
}, { requiredKeys: ["value", "sampleCount"] }) as fc.Arbitrary<Figure>;
const table = fc.uniqueArray(fc.tuple(key, figure), { selector: ([key]) => key, maxLength: 12 })
  .map((members) => smallTable({}, Object.fromEntries(members)));

const keysOf = (changes: readonly Change[], ...without: Verdict[]) =>
  changes.filter(({ verdict }) => !without.includes(verdict)).map(({ key }) => key);

Deno.test("compareFigures() names every figure of both sides once, the after's in its order", () => {
  fc.assert(fc.property(table, table, (before, after) => {
    const changes = compareFigures(before, after);
    assertEquals(keysOf(changes, "gone"), Object.keys(after.figures));
    assertEquals(new Set(keysOf(changes, "new")), new Set(Object.keys(before.figures)));
    assertEquals(changes.length, new Set([...Object.keys(before.figures), ...Object.keys(after.figures)]).size);
  }));
});

Deno.test("compareFigures() leaves what is gone where it stood: taking figures away keeps the order", () => {
  fc.assert(fc.property(table, fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }), (before, kept) => {
    const members = Object.entries(before.figures);
    const after = smallTable({}, Object.fromEntries(members.filter((_, i) => kept[i])));
    const changes = compareFigures(before, after);
    assertEquals(changes.map(({ key }) => key), members.map(([key]) => key));
    assertEquals(changes.map(({ verdict }) => verdict), members.map((_, i) => kept[i] ? "same" : "gone"));
  }));
});

Deno.test("compareFigures() the other way round swaps better with worse, new with gone, and the sign", () => {
  const swapped: Partial<Record<Verdict, Verdict>> = { better: "worse", worse: "better", new: "gone", gone: "new" };
  fc.assert(fc.property(table, table, (a, b) => {
    const back = new Map(compareFigures(b, a).map((change) => [change.key, change]));
    for (const { key, verdict, difference = 0 } of compareFigures(a, b)) {
      assertEquals(back.get(key)!.verdict, swapped[verdict] ?? verdict);
      assertEquals((back.get(key)!.difference ?? 0) + difference, 0);
    }
  }));
});

Deno.test("compareFigures() sees what the files hold: figures still in memory give the same changes", () => {
  const read = (text: string) => parseFigures("figures.json", text);
  const seen = (changes: readonly Change[]) =>
    changes.map(({ key, difference, inStandardErrors, verdict }) => ({ key, difference, inStandardErrors, verdict }));
  fc.assert(fc.property(table, table, (a, b) => {
    const onDisk = compareFigures(read(printFigures(a)), read(printFigures(b)));
    assertEquals(seen(compareFigures(a, b)), seen(onDisk));
  }));
});

/** One figure before and after, as [value, standard error]. */
function change(metric: string, before: readonly number[], after: readonly number[], caption = {}): Change {
  const [old, now] = [before, after].map(([value, standardError]) => ({
    [`NFM / ${metric}`]: { value: value!, ...(standardError !== undefined && { standardError }), sampleCount: 500 },
  }));
  return compareFigures(smallTable({}, old!), smallTable(caption, now!))[0]!;
}

Deno.test("compareFigures() judges a difference by two combined standard errors and the metric's direction", () => {
  const cases: [metric: string, before: number[], after: number[], Verdict][] = [
    // √(0.3² + 0.4²) = 0.5.
    ["frechet", [10, 0.3], [9, 0.4], "within noise"],
    ["frechet", [10, 0.3], [8.9, 0.4], "better"],
    ["frechet", [10, 0.3], [11.1, 0.4], "worse"],
    ["accuracy", [10, 0.3], [11.1, 0.4], "better"],
    ["accuracy", [10, 0.3], [8.9, 0.4], "worse"],
    ["weight", [10, 0.3], [8.9, 0.4], "changed"],
    ["weight", [10, 0.3], [9.1, 0.4], "within noise"],
    // One side's spread is all there is; a spread of nothing is none.
    ["frechet", [10, 0.5], [9], "within noise"],
    ["frechet", [10, 0.5], [8.9], "better"],
    ["frechet", [10, 0], [9.99, 0], "better"],
    // Without any, any change counts.
    ["loss", [0.25], [0.2501], "worse"],
    ["loss", [0.25], [0.2499], "better"],
    ["weight", [1.5], [1.6], "changed"],
    ["loss", [0.25], [0.25], "same"],
    // 0.250001 is printed as 0.2500.
    ["loss", [0.25], [0.250001], "same"],
    // 1.004 and 1.006 are printed as 1.00 and 1.01: ten standard errors, all of them rounding.
    ["frechet", [1.004, 0.0001], [1.006, 0.0001], "within noise"],
    ["frechet", [1.004, 0.0001], [1.026, 0.0001], "worse"],
  ];
  for (const [metric, before, after, verdict] of cases) {
    assertEquals(change(metric, before, after).verdict, verdict, `${metric} ${before} -> ${after}`);
  }
  const { difference, inStandardErrors } = change("frechet", [10, 0.3], [8.9, 0.4]);
  assertEquals(difference, -1.1);
  assertAlmostEquals(inStandardErrors!, -2.2, 1e-12);
  assertEquals(change("loss", [0.25], [0.3]).inStandardErrors, undefined);
});

Deno.test("compareFigures() asks more of standard errors over few seeds: Student's t instead of 2", () => {
  const figure = (value: number, seeds: number) => ({
    value,
    standardError: 1,
    sampleCount: 500,
    perSeed: Array(seeds).fill(value),
  });
  // At 4, 2 and, with one side known (Welch), 8 degrees of freedom; printed to whole numbers.
  const beyond: [seeds: [number, number], standardErrors: number][] = [[[3, 3], 2.869], [[2, 2], 4.527], [
    [3, 1],
    2.366,
  ]];
  for (const [[before, after], limit] of beyond) {
    for (const [factor, verdict] of [[0.9, "within noise"], [1.2, "worse"]] as const) {
      const now = figure(100 + factor * limit * Math.SQRT2, after);
      const tables = [figure(100, before), now].map((one) => smallTable({}, { "NFM / frechet": one }));
      assertEquals(compareFigures(tables[0]!, tables[1]!)[0]!.verdict, verdict, `${before} and ${after} seeds`);
    }
  }
});

Deno.test("compareFigures() calls the same value of other samples no change of quality", () => {
  const before = smallTable({}, { "NFM / loss": { value: 1, sampleCount: 500 } });
  const after = smallTable({}, { "NFM / loss": { value: 1, sampleCount: 600 } });
  assertEquals(compareFigures(before, after)[0]!.verdict, "within noise");
});

Deno.test("compareFigures() gives no better and no worse where the captions do not compare, and still the figures", () => {
  for (const caption of [{ version: 2 }, { data: "mnist 28x28" }, { features: "CNN 0000" }, { samples: 1000 }]) {
    const { verdict, difference } = change("frechet", [10, 0.3], [5, 0.3], caption);
    assertEquals([verdict, difference], ["changed", -5]);
  }
  assertEquals(change("frechet", [10, 0.3], [5, 0.3], { seeds: [1, 2], title: "U" }).verdict, "better");
});

Deno.test("compareCaptions() says what differs, a clause each", () => {
  const { caption } = smallTable();
  assertEquals(compareCaptions(caption, caption), { comparable: true, differences: [] });
  assertEquals(compareCaptions(caption, { ...caption, seeds: [0, 1] }), {
    comparable: true,
    differences: ["seeds was [0], is [0,1]"],
  });
  assertEquals(compareCaptions(caption, { ...caption, samples: 64, notes: ["Cut to 64 samples."] }), {
    comparable: false,
    differences: ["samples was 500, is 64", 'notes was absent, is ["Cut to 64 samples."]'],
  });
});
