import fc from "fast-check";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import type { MetricInfo } from "../../lib/metrics/types.ts";
import { aggregate, aggregateSeeds } from "../../lib/results/aggregate.ts";
import {
  type Figure,
  type FigureKey,
  figureKey,
  type Figures,
  parseFigureKey,
  parseFigures,
  printFigures,
  readFigures,
  samplerName,
  writeFigures,
} from "../../lib/results/figures.ts";
import { round } from "../../lib/results/rounding.ts";

const frechet: MetricInfo = { label: "FD", unit: "", better: "lower", digits: 3 };
const caption = {
  title: "T",
  experiment: "table4",
  scale: "quick",
  version: 1,
  data: "mnist 16x16",
  features: "CNN 3fa9",
  samples: 5000,
  seeds: [0, 1],
  guidance: "none.",
};

function figuresOf(figures: Record<string, Figure>): Figures {
  return { caption, metrics: { frechet }, figures };
}

Deno.test("printFigures() puts one measurement on a line, in the order given, with honest digits", () => {
  const text = printFigures(figuresOf({
    "NFM / 200000 / heun 7 / guided / frechet": { value: 3.49672, standardError: 0.0412, sampleCount: 5000 },
    "FM / 200000 / heun 7 / guided / frechet": {
      value: 12.3456,
      standardError: 1.26,
      sampleCount: 5000,
      perSeed: [11.1, 13.6],
    },
    "teacher / frechet": { value: 1.23456, sampleCount: 5000 },
  }));
  const lines = text.split("\n");
  const start = lines.indexOf('  "figures": {');
  assertEquals(lines.slice(start + 1, start + 4), [
    '    "NFM / 200000 / heun 7 / guided / frechet": { "value": 3.50, "standardError": 0.041, "sampleCount": 5000 },',
    '    "FM / 200000 / heun 7 / guided / frechet": { "value": 12, "standardError": 1.3, "sampleCount": 5000, "perSeed": [11, 14] },',
    '    "teacher / frechet": { "value": 1.235, "sampleCount": 5000 }',
  ]);
});

const name = fc.constantFrom("FM", "SD-FM", "NFM, sigma=none", "teacher");
const keys: fc.Arbitrary<FigureKey> = fc.record({
  row: name,
  checkpoint: fc.nat(1e9),
  sampler: fc.constantFrom("heun 7", "euler 128 linear"),
  guidance: fc.constantFrom("guided" as const, "unguided" as const),
  metric: fc.constant("frechet"),
}, { requiredKeys: ["row", "metric"] });
const number = fc.double({ min: -1e6, max: 1e6, noNaN: true });
const measurement = fc.record({
  value: number,
  standardError: fc.double({ min: 0, max: 1e4, noNaN: true }),
  sampleCount: fc.nat(50000),
  perSeed: fc.array(number, { maxLength: 3 }),
}, { requiredKeys: ["value", "sampleCount"] });

Deno.test("parseFigureKey() is the inverse of figureKey()", () => {
  fc.assert(fc.property(keys, (key) => assertEquals(parseFigureKey(figureKey(key)), key)));
  assertThrows(() => parseFigureKey("FM / guided / 200000 / frechet"), Problem, "names no figure");
  assertThrows(() => parseFigureKey("FM"), Problem, "names no figure");
  assertEquals(samplerName({ method: "heun", nfe: 7, grid: "t2" }), "heun 7");
  assertEquals(samplerName({ method: "euler", nfe: 128, grid: "linear" }), "euler 128 linear");
});

Deno.test("figures.json read back and printed again has the same bytes", () => {
  const table = fc.array(fc.tuple(keys, measurement), { maxLength: 8 });
  fc.assert(fc.property(table, (members) => {
    const figures = figuresOf(Object.fromEntries(members.map(([key, figure]) => [figureKey(key), figure as Figure])));
    const text = printFigures(figures);
    const back = parseFigures("figures.json", text);
    assertEquals(printFigures(back), text);
    assertEquals(Object.keys(back.figures), Object.keys(figures.figures));
  }));
});

Deno.test("round() is never finer than the metric's digits nor than the first digit of the standard error", () => {
  fc.assert(fc.property(measurement, fc.nat(5), (figure, digits) => {
    const { value, standardError } = round(figure as Figure, { ...frechet, digits });
    const shown = value.split(".")[1]?.length ?? 0;
    assert(shown <= digits);
    const error = figure.standardError ?? 0;
    // A digit after the point stands no lower than the first digit of the error.
    if (shown > 0) assert(10 ** -shown > Number(error.toPrecision(2)) / 10, `${value} ± ${error}`);
    assert(Math.abs(Number(value) - figure.value) <= 0.5 * 10 ** -shown * (1 + 1e-6) + 1e-9, "not the nearest");
    if (standardError !== undefined && error >= 1e-12) assert(Math.abs(Number(standardError) - error) <= 0.051 * error);
  }));
});

Deno.test("printFigures() refuses what is not a number, with the exit code of a failed run", () => {
  const problem = assertThrows(
    () => printFigures(figuresOf({ "FM / frechet": { value: NaN, sampleCount: 1 } })),
    Problem,
    "Cannot record FM / frechet",
  );
  assertEquals(problem.exitCode, 70);
});

Deno.test("writeFigures() and readFigures() agree; a damaged file is one sentence", async () => {
  const path = await Deno.makeTempFile({ suffix: ".json" });
  const figures = figuresOf({ "FM / frechet": { value: 2.5, sampleCount: 10 } });
  await writeFigures(path, figures);
  assertEquals(await readFigures(path), figures);
  const text = await Deno.readTextFile(path);
  for (
    const damaged of [
      text.slice(0, -9),
      text.replace('"value": 2.500', '"value": "x"'),
      text.replace("FM / frechet", "FM"),
      text.replace("FM / frechet", "FM / loss"),
    ]
  ) {
    const problem = await assertRejects(
      async () => parseFigures(path, await Promise.resolve(damaged)),
      Problem,
      `Cannot read ${path}`,
    );
    assertEquals(problem.message.includes("\n"), false);
  }
  await Deno.remove(path);
});

Deno.test("aggregate() gives the mean over seeds and its standard error s/√n; one seed keeps its own", () => {
  const one = { value: 2, standardError: 0.5, sampleCount: 100 };
  assertEquals(aggregate([one]), one);
  const three = aggregate([1, 2, 6].map((value) => ({ value, standardError: 0.5, sampleCount: 100 })));
  assertEquals(three, { value: 3, standardError: Math.sqrt(7 / 3), sampleCount: 100, perSeed: [1, 2, 6] });
  const seeds = aggregateSeeds([{ b: one, a: one }, { a: { ...one, value: 4 }, b: one }]);
  assertEquals(Object.keys(seeds), ["b", "a"]);
  assertEquals(seeds["a"]!.value, 3);
  assertThrows(() => aggregateSeeds([{ a: one }, { b: one }]), TypeError, '"a"');
});
