import * as fc from "fast-check";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { anchor } from "../../lib/reports/html/anchor.ts";
import { costOfRow } from "../../lib/reports/html/cost.ts";
import { renderReport } from "../../lib/reports/html/page.tsx";
import { inlineSvg, openPicture } from "../../lib/reports/html/picture.tsx";
import { workingTree } from "../../lib/results/tree.ts";
import { gatherExperiments } from "../../lib/runs/report_data.ts";
import { hostileReport } from "./hostile_report.ts";

const all = (html: string, pattern: RegExp) => [...html.matchAll(pattern)].map((match) => match[1]!);

Deno.test("renderReport() escapes all text, and leaves no way to run or to load", () => {
  const html = renderReport(hostileReport());
  assertEquals(all(html, /<(script|iframe|object|embed|base|form)\b/gi), []);
  assertEquals(all(html, /<[^>]*\s(on\w+)=/gi), []);
  assertEquals(all(html, /<style>[^]*?@(import)[^]*?<\/style>/g), []);
  assertEquals(all(html, /(?:src|href)="(?!#|data:)([^"]*)"/g), []);
  assertEquals(all(html, /<(style)\b/g).length, 1);
  assertStringIncludes(html, "&lt;script>");
});

Deno.test("renderReport() gives the same bytes for the same results", async () => {
  const make = async () => {
    const source = await workingTree();
    return renderReport(await gatherExperiments(source, []));
  };
  assertEquals(await make(), await make());
});

Deno.test("every figure of every committed result leads to one provenance, and every link on the page leads somewhere", async () => {
  const source = await workingTree();
  const { experiments, faults } = await gatherExperiments(source, []);
  assertEquals(faults, []);
  const html = renderReport({ experiments, faults });
  const ids = all(html, /\sid="([^"]*)"/g), links = all(html, /\shref="#([^"]*)"/g);
  assertEquals(ids.length, new Set(ids).size);
  assertEquals(links.filter((link) => !ids.includes(link)), []);
  for (const { name, figures } of experiments.flatMap(({ results }) => results)) {
    for (const key of Object.keys(figures.figures)) {
      assert(links.includes(anchor(name, key)), `no cell of ${name} links to ${key}`);
    }
  }
});

Deno.test("a row's provenance quotes the recipe that ran and names the line that writes it", async () => {
  const { experiments } = await gatherExperiments(await workingTree(), ["table4"]);
  for (const { name, rows, figures, provenance, commands } of experiments[0]!.results) {
    const { experiment, scale } = figures.caption;
    assertEquals(commands, [
      `git checkout ${provenance!.commit}`,
      `deno task nfm run ${experiment} --scale ${scale} --engine native`,
    ]);
    for (const [row, { written, resolved, text }] of Object.entries(rows)) {
      for (const place of [written!, resolved]) {
        const [file, line] = place.split(":");
        const there = (await Deno.readTextFile(file!)).split("\n")[Number(line) - 1]!;
        assert(there.trim().startsWith(`${row}:`), `${place} of ${name} is not where ${row} is written: ${there}`);
      }
      assert(text.startsWith(`${row}:\n  coupling:`), text);
    }
    assertEquals(Object.keys(rows).length > 0, Object.keys(figures.figures).length > 0);
  }
});

Deno.test("anchor() gives different names different anchors, without spaces", () => {
  // Characters that the anchors themselves are written with.
  const name = fc.string({ unit: fc.constantFrom(..."a-._ /5f2eκ") });
  fc.assert(
    fc.property(name, name, (a, b) => {
      assert(!/\s/.test(anchor(a)));
      assertEquals(anchor(a) === anchor(b), a.replaceAll(" / ", "/") === b.replaceAll(" / ", "/"));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("inlineSvg() keeps a plot's own references among several plots", () => {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg"><clipPath id="a"><path d="M0 0"/></clipPath>` +
    `<g clip-path="url(#a)"><use href="#a"/></g></svg>`;
  const [one, two] = ["one", "two"].map((prefix) => inlineSvg(svg, prefix, "a plot"));
  for (const [text, prefix] of [[one!, "one"], [two!, "two"]] as const) {
    assertEquals(all(text, /id="([^"]*)"/g), [`${prefix}/a`]);
    assertEquals(all(text, /url\(#([^)]*)\)/g), [`${prefix}/a`]);
    assertEquals(all(text, /href="#([^"]*)"/g), [`${prefix}/a`]);
    assertStringIncludes(text, 'aria-label="a plot"');
  }
});

Deno.test("openPicture() names the file that is not a picture", () => {
  const broken = new TextEncoder().encode("<p>no picture");
  for (const file of ["curve.svg", "samples.png"]) {
    const { message } = assertThrows(() => openPicture("table4/desk", file, broken), Problem);
    assertStringIncludes(message, `Cannot show results/table4/desk/${file}: `);
  }
});

Deno.test("costOfRow() adds up a row's stages, and tells a row from one whose name ends the same", () => {
  const seconds = {
    "coupling FM": 1,
    "coupling SD FM": 10,
    "student FM seed 0": 100,
    "student FM seed 1": 200,
    "student SD FM seed 0": 1000,
    "evaluation FM seed 0 at 16384": 3,
    "pictures FM, guided": 5,
  };
  const of = (row: string) =>
    costOfRow(seconds, row, ["FM", "SD FM"]).map(({ kind, runs, seconds }) => [kind, runs, seconds]);
  assertEquals(of("FM"), [["coupling", 1, 1], ["student", 2, 300], ["evaluation", 1, 3], ["pictures", 1, 5]]);
  assertEquals(of("SD FM"), [["coupling", 1, 10], ["student", 1, 1000]]);
});
