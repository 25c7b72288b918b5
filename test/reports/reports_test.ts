import { decode } from "fast-png";
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import type { MetricInfo } from "../../lib/metrics/types.ts";
import { renderLossPlot } from "../../lib/reports/loss_plot.ts";
import { plotsOf, renderPlot } from "../../lib/reports/plot.ts";
import { renderGrid } from "../../lib/reports/png_grid.ts";
import { renderMarkdown, renderTerminal } from "../../lib/reports/table.ts";
import { type Figure, figureKey, type Figures } from "../../lib/results/figures.ts";
import { printLosses } from "../../lib/results/losses.ts";
import type { PaperFigures } from "../../lib/results/paper.ts";

const frechet: MetricInfo = { label: "FD", unit: "", better: "lower", digits: 2 };
const nll: MetricInfo = { label: "NLL", unit: "nats/dim", better: "lower", digits: 4 };

function table(): Figures {
  const figures: Record<string, Figure> = {
    "teacher / nll": { value: -1.4961, standardError: 0.0004, sampleCount: 10000 },
  };
  for (const [row, first] of [["FM", 20], ["NFM", 10]] as const) {
    for (const [rank, checkpoint] of [25000, 200000].entries()) {
      for (const nfe of [31, 7]) {
        if (row === "NFM" && checkpoint === 25000 && nfe === 7) continue; // not measured
        const value = first / (1 + rank) + 1 / nfe;
        const key = figureKey({ row, checkpoint, sampler: `heun ${nfe}`, guidance: "guided", metric: "frechet" });
        figures[key] = { value, standardError: 0.13, sampleCount: 5000 };
      }
    }
  }
  const caption = {
    title: "FID by samples seen and NFE",
    experiment: "table4",
    scale: "quick",
    version: 1,
    data: "mnist 16x16",
    features: "CNN of 64 features, 3fa91c02",
    samples: 5000,
    seeds: [0],
    guidance: "golden section over [1, 4].",
  };
  return { caption, metrics: { frechet, nll }, figures };
}

const paper: PaperFigures = {
  caption: "ImageNet 64×64",
  checkpoints: [2 ** 25, 2 ** 28],
  figures: {
    [`FM / ${2 ** 25} / heun 31 / guided / frechet`]: 14.33,
    [`FM / ${2 ** 28} / heun 31 / guided / frechet`]: 2.57,
    [`NFM / ${2 ** 28} / heun 7 / guided / frechet`]: 3.2,
  },
};

Deno.test("renderMarkdown() draws Table 4: methods × NFE down, samples seen across, ours beside the paper's", () => {
  const text = renderMarkdown(table(), paper);
  assertEquals(
    text,
    `# FID by samples seen and NFE

- Ours: table4 at scale quick; data mnist 16x16; CNN of 64 features, 3fa91c02; 5k samples per figure; seed 0; ± is the standard error of sampling, one training.
- Guidance: golden section over [1, 4].
- Paper: ImageNet 64×64. Its data, models and features are larger: compare the order of the methods and the course of the columns, not the figures.
- Columns are samples seen in training; – is not measured or not published.

## FD ↓, Heun (t²), guided

| method |    NFE |          25k | paper 32 MiB |         200k | paper 256 MiB |
|--------|-------:|-------------:|-------------:|-------------:|--------------:|
| FM     |     31 |   20.0 ± 0.1 |        14.33 |   10.0 ± 0.1 |          2.57 |
| NFM    |     31 |   10.0 ± 0.1 |            – |    5.0 ± 0.1 |             – |
| FM     |      7 |   20.1 ± 0.1 |            – |   10.1 ± 0.1 |             – |
| NFM    |      7 |            – |            – |    5.1 ± 0.1 |          3.20 |

## Measured once

| of      | what             |             ours |
|---------|------------------|-----------------:|
| teacher | NLL (nats/dim) ↓ | -1.4961 ± 0.0004 |
`,
  );
});

Deno.test("a figure that changes within its digits changes its own row of table.md alone", () => {
  const before = renderMarkdown(table(), paper).split("\n");
  const changed = table();
  const key = "FM / 200000 / heun 7 / guided / frechet";
  const figures = { ...changed.figures, [key]: { value: 123.4, standardError: 0.2, sampleCount: 5000 } };
  const after = renderMarkdown({ ...changed, figures }, paper).split("\n");
  assertEquals(after.length, before.length);
  assertEquals(after.filter((line, i) => line !== before[i]).length, 1);
});

Deno.test("renderTerminal() shows every figure that renderMarkdown() shows", () => {
  const markdown = renderMarkdown(table(), paper), terminal = renderTerminal(table(), paper);
  const cells = [...markdown.matchAll(/-?\d+\.\d+(?: ± \d+\.\d+)?/g)].map((match) => match[0]);
  assert(cells.length > 10);
  for (const one of cells) assertStringIncludes(terminal, one);
});

Deno.test("renderPlot() gives the same bytes for the same figures, with every row and sampler named", async () => {
  const options = { name: "convergence-guided", against: "samples", metric: "frechet", guidance: "guided" } as const;
  const svg = await renderPlot(table(), options);
  assertEquals(await renderPlot(table(), options), svg);
  for (const word of ["<svg", "heun 31", "heun 7", ">FM<", ">NFM<", "samples seen", "25k", "FD ↓, guided"]) {
    assertStringIncludes(svg, word);
  }
  // No ground of its own: the page's shows through, and the text follows its scheme.
  assert(!/<rect[^>]*width="100%"/.test(svg));
  assertStringIncludes(svg, "prefers-color-scheme");
  const other = table();
  const key = "FM / 200000 / heun 31 / guided / frechet";
  const changed = {
    ...other,
    figures: { ...other.figures, [key]: { value: 15, standardError: 0.1, sampleCount: 5000 } },
  };
  assert(await renderPlot(changed, options) !== svg, "the plot does not show its figures");
  await assertRejects(() => renderPlot(table(), { ...options, guidance: "unguided" }), TypeError, "no figure");
});

Deno.test("plotsOf() names convergence where there are checkpoints, the course over NFE where there are solvers", async () => {
  const of = (figures: Figures) => plotsOf(figures).map(({ name }) => name);
  assertEquals(of(table()), ["convergence-guided"]);
  const solvers = oneCheckpoint();
  assertEquals(of(solvers), ["nfe-guided"]);
  const svg = await renderPlot(solvers, plotsOf(solvers)[0]!);
  for (const word of [">NFE<", ">FM<", "heun (t²)", "euler (linear)"]) assertStringIncludes(svg, word);
});

Deno.test("renderLossPlot() draws every row's curve, the same bytes for the same losses", async () => {
  const curves = { FM: [[64, 0.5], [128, 0.25]], "NFM, bfloat16": [[64, 0.5], [128, 0.125]] } as const;
  const svg = await renderLossPlot(curves);
  assertEquals(await renderLossPlot(curves), svg);
  for (const word of [">FM<", ">NFM, bfloat16<", "samples seen", "training loss ↓"]) assertStringIncludes(svg, word);
  assertEquals([...svg.matchAll(/<path[^>]*stroke-width="1.5"[^>]*>/g)].length, 2);
  assert(await renderLossPlot({ ...curves, FM: [[64, 0.5], [128, 0.2]] }) !== svg, "the plot does not show its losses");
  await assertRejects(() => renderLossPlot({}), TypeError, "there is none");
  assertEquals(JSON.parse(printLosses(curves)), curves);
  assertEquals(printLosses(curves).split("\n").length, 5, "one row a line");
});

/** One checkpoint under three solvers, as the paper's Tables 3 and 5. */
function oneCheckpoint(): Figures {
  const figures: Record<string, Figure> = {};
  for (const [row, value] of [["FM", 20], ["NFM", 10]] as const) {
    for (const sampler of ["heun 31", "heun 7", "euler 128 linear"]) {
      const key = figureKey({ row, checkpoint: 200000, sampler, guidance: "guided", metric: "frechet" });
      figures[key] = { value, standardError: 0.13, sampleCount: 5000 };
    }
  }
  return { ...table(), figures };
}

Deno.test("a table of one checkpoint has solvers down and methods across, as the paper's Table 5", () => {
  const text = renderMarkdown(oneCheckpoint(), {
    caption: "ImageNet 64×64",
    checkpoints: [2 ** 28],
    figures: { [`NFM / ${2 ** 28} / heun 7 / guided / frechet`]: 3.23 },
  });
  assertStringIncludes(text, "## FD ↓, guided, 200k samples");
  assertMatch(text, /\| Heun \(t²\) +\| +7 \| +20.0 ± 0.1 \| +– \| +10.0 ± 0.1 \| +3.23 \|/);
  assertMatch(text, /\| Euler \(linear\) +\| +128 \|/);
});

Deno.test("what several rows measure once is a table of rows by metrics, as the paper's Table 1; the rest a line each", () => {
  const dz: MetricInfo = { label: "d_z", unit: "", better: "neither", digits: 2 };
  const figures = {
    "η=0.1 teacher / dz": { value: 0.9, sampleCount: 100 },
    "η=0.1 teacher / nll": { value: -1.5, sampleCount: 100 },
    "η=0.2 teacher / dz": { value: 0.94, sampleCount: 100 },
    "η=0.2 teacher / nll": { value: -1.0, sampleCount: 100 },
    "FM / nll": { value: 7, sampleCount: 100 },
  };
  const text = renderMarkdown({ ...table(), metrics: { dz, nll }, figures }, {
    caption: "ImageNet 64×64",
    checkpoints: [],
    figures: { "η=0.2 teacher / dz": 0.94 },
  });
  assertMatch(text, /\| η=0.2 +\| +0.94 \| +0.94 \| +-1.0000 \|/);
  assertMatch(text, /\| η=0.1 +\| +0.90 \| +– \| +-1.5000 \|/);
  assertMatch(text, /\| FM +\| NLL \(nats\/dim\) ↓ +\| +7.0000 \|/);
});

Deno.test("renderGrid() is a PNG whose pixels are the images', enlarged, row by row", () => {
  const shape = [1, 2, 2] as const;
  const rows = [
    { data: Float32Array.of(-1, 1, 0, 5, -1, -1, -1, -1) },
    { data: Float32Array.of(1, 1, 1, 1, -9, 0, 0, 1) },
  ];
  const png = decode(renderGrid(rows, { shape, scale: 3, gutter: 1 }));
  assertEquals([png.width, png.height, png.channels, png.depth], [13, 13, 1, 8]);
  const at = (x: number, y: number) => png.data[y * png.width + x];
  const first = [[-1, 1], [0, 5]].map((line, y) => line.map((_, x) => [at(3 * x, 3 * y), at(3 * x + 2, 3 * y + 2)]));
  assertEquals(first, [[[0, 0], [255, 255]], [[128, 128], [255, 255]]]);
  assertEquals([at(6, 0), at(0, 6)], [128, 128], "the gutter is grey");
  assertEquals([at(7, 7), at(10, 10), at(12, 12)], [0, 255, 255]);
  assertEquals([at(0, 7), at(5, 12)], [255, 255]);
});

Deno.test("renderGrid() keeps the channels of colour images apart", () => {
  const png = decode(renderGrid([{ data: Float32Array.of(1, -1, 0) }], { shape: [3, 1, 1], scale: 1, gutter: 0 }));
  assertEquals([png.channels, ...png.data], [3, 255, 0, 128]);
  assertThrows(() => renderGrid([{ data: new Float32Array(5) }], { shape: [3, 1, 1] }), TypeError, "equally many");
});
