import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { stripVTControlCharacters } from "node:util";
import { renderDiffJson, renderDiffMarkdown, renderDiffTerminal } from "../../lib/reports/diff.ts";
import { compareCaptions, compareFigures } from "../../lib/results/compare.ts";
import type { Diff, ResultDiff } from "../../lib/results/diff.ts";
import type { Figures } from "../../lib/results/figures.ts";
import { smallTable } from "../results/temporary_project.ts";

const source = (name: string): Diff["before"] => ({
  name,
  files: [],
  nameOf: (file) => file,
  read: () => Promise.reject(new Error("nothing to read")),
});

const result = (figures: Figures): Diff["results"][number]["after"] & object => ({
  place: "table4/quick",
  path: "results/table4/quick",
  figures,
  files: [],
  faults: [],
});

function diffOf(before: Figures, after: Figures, more: Partial<ResultDiff> = {}): Diff {
  const one: ResultDiff = {
    place: "table4/quick",
    before: result(before),
    after: result(after),
    captions: compareCaptions(before.caption, after.caption),
    stale: {},
    changes: compareFigures(before, after),
    ...more,
  };
  return { before: source("HEAD"), after: source("the working tree"), results: [one], faults: [] };
}

const before = smallTable();
const after = smallTable({}, {
  ...before.figures,
  "FM / 64 / heun 7 / unguided / frechet": { value: 20.44, standardError: 0.31, sampleCount: 500 },
  "NFM / 64 / heun 7 / unguided / frechet": { value: 12, standardError: 0.4, sampleCount: 500 },
});
const key = "NFM / 64 / heun 7 / unguided / frechet";

const cellsOf = (text: string, name: string) =>
  text.split("\n").find((line) => line.includes(name))!.split(/[│|]/).map((cell) => cell.trim()).slice(1, -1);

Deno.test("renderDiffTerminal() gives old, new, difference, standard errors and verdict, and counts verdicts at the end", () => {
  const text = renderDiffTerminal(diffOf(before, after), { all: false });
  assertEquals(cellsOf(text, key), [key, "10.0 ± 0.3", "12.0 ± 0.4", "+2.0", "+4.0", "worse"]);
  assertEquals(cellsOf(text, "FM / 64 / heun 7 / unguided").slice(3), ["+0.4", "+0.9", "within noise"]);
  assert(!text.includes("loss"), "what is the same is left out");
  assertStringIncludes(text, "one seed: the standard errors are of sampling alone");
  assertMatch(text.split("\n").at(-1)!, /^HEAD → the working tree: 1 worse, 1 within noise, 1 same\. /);
  const all = renderDiffTerminal(diffOf(before, after), { all: true });
  assertEquals(cellsOf(all, "NFM / loss"), ["NFM / loss", "0.2500", "0.2500", "0.0000", "–", "same"]);
});

Deno.test("renderDiffTerminal() colours on request alone, and says no less without", () => {
  const plain = renderDiffTerminal(diffOf(before, after), { all: true });
  const coloured = renderDiffTerminal(diffOf(before, after), { all: true, colour: true });
  assertEquals(stripVTControlCharacters(plain), plain);
  assert(coloured !== plain);
  assertEquals(stripVTControlCharacters(coloured), plain);
});

Deno.test("a stale result is marked although nothing in it changed; what is whole and unchanged is left out", () => {
  const stale = { after: "student.width was 64, is 128" };
  const shown = renderDiffTerminal(diffOf(before, before, { stale }), { all: false });
  assertStringIncludes(shown, "stale: student.width was 64, is 128");
  assertStringIncludes(shown, "no figure changed");
  assertStringIncludes(shown, "1 of 1 results stale");
  const quiet = renderDiffTerminal(diffOf(before, before), { all: false });
  assertMatch(quiet, /^HEAD → the working tree: 3 same\. /);
});

Deno.test("captions that do not compare are said before the figures", () => {
  const other = { ...after, caption: { ...after.caption, samples: 1000 } };
  const text = renderDiffTerminal(diffOf(before, other), { all: false });
  assertStringIncludes(text, "the two do not compare, nothing is better or worse:\n  samples was 500, is 1000");
  assertEquals(cellsOf(text, key).slice(3), ["+2.0", "+4.0", "changed"]);
});

Deno.test("a new result is one line, with --all every figure", () => {
  const { before: _, ...alone } = diffOf({ ...after, figures: {} }, after).results[0]!;
  const diff = { ...diffOf(after, after), results: [alone] };
  const text = renderDiffTerminal(diff, { all: false });
  assertStringIncludes(text, "new as a whole: 3 figures");
  assert(!text.includes(key));
  assertEquals(cellsOf(renderDiffTerminal(diff, { all: true }), key), [key, "–", "12.0 ± 0.4", "–", "–", "new"]);
});

Deno.test("the paper's figure stands beside ours, with how far ours is from it", () => {
  const changes = compareFigures(before, after).map((change) => ({ ...change, paper: 11.01 }));
  const text = renderDiffTerminal(diffOf(before, after, { changes }), { all: false });
  assertEquals(cellsOf(text, key).slice(-2), ["11.01", "+1.0"]);
  assertStringIncludes(text, "paper: larger data, models and features; the order compares, not the figures");
});

Deno.test("renderDiffMarkdown() is a table that a pull request can show", () => {
  const text = renderDiffMarkdown(diffOf(before, after), { all: false });
  const lines = text.split("\n");
  assertEquals(lines[0], "### table4/quick");
  assertEquals(cellsOf(text, key), [key, "10.0 ± 0.3", "12.0 ± 0.4", "+2.0", "+4.0", "**worse**"]);
  const start = lines.findIndex((line) => line.startsWith("| figure"));
  const columns = lines[start]!.split("|").length;
  assertEquals(lines.slice(start - 1, start), [""]);
  assert(lines.slice(start, start + 4).every((line) => line.split("|").length === columns));
});

Deno.test("renderDiffJson() holds what the tables show, unrounded sides included", () => {
  const json = JSON.parse(renderDiffJson(diffOf(before, after), { all: false }));
  assertEquals(json.before, { name: "HEAD" });
  assertEquals([json.counts.worse, json.counts["within noise"], json.counts.same], [1, 1, 1]);
  const [one] = json.results;
  assertEquals([one.place, one.comparable, one.stale, one.changes.length], ["table4/quick", true, {}, 2]);
  assertEquals(one.changes[1], {
    key,
    metric: "frechet",
    before: before.figures[key],
    after: after.figures[key],
    difference: 2,
    inStandardErrors: 4,
    verdict: "worse",
  });
});
