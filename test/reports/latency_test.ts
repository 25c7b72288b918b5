import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { figures as infos } from "../../lib/metrics/mod.ts";
import { latencyPlotsOf, latencySpec, renderLatencyPlot } from "../../lib/reports/latency_plot.ts";
import { renderMarkdown } from "../../lib/reports/table.ts";
import { type Figure, type Figures, parseFigureKey } from "../../lib/results/figures.ts";
import type { PaperFigures } from "../../lib/results/paper.ts";

/** A teacher as slow as its tokens, a student that takes a hundredth of a second. */
function table(tokens: readonly number[] = [16, 64]): Figures {
  const figures: Record<string, Figure> = {};
  const put = (key: string, value: number, standardError = 0) =>
    figures[key] = { value, ...(standardError && { standardError }), sampleCount: 7 };
  for (const count of tokens) {
    const row = `${count} tokens`;
    put(`${row} teacher / guided / secondsBatch1`, count / 100, 0.01);
    put(`${row} teacher / guided / decodeSecondsBatch1`, count / 200, 0.01);
    put(`${row} / heun 7 / guided / secondsBatch1`, 0.01, 0.0002);
    put(`${row} / heun 7 / guided / speedupBatch1`, count, 0.4);
    put(`${row} teacher / tokens`, count);
    put(`${row} / tokens`, count / 4);
  }
  const metrics = Object.keys(figures).map((key) => parseFigureKey(key).metric);
  const caption = {
    title: "Latency",
    experiment: "table8",
    scale: "quick",
    version: 1,
    data: "mnist 16x16",
    features: "none",
    samples: 7,
    seeds: [0],
    guidance: "guided is w = 1.5.",
    notes: ["Timings move from run to run."],
  };
  return { caption, metrics: Object.fromEntries(metrics.map((metric) => [metric, infos[metric]!])), figures };
}

const paper: PaperFigures = {
  caption: "ImageNet 64×64",
  checkpoints: [],
  figures: {
    "1024 tokens teacher / tokens": 1024,
    "1024 tokens teacher / guided / secondsBatch1": 10.7965,
    "1024 tokens / heun 7 / guided / secondsBatch1": 0.0744,
    "1024 tokens / heun 7 / guided / speedupBatch1": 145,
  },
};

Deno.test("latency is drawn as Table 8: teacher, then solvers; the published rows beside it, digits as published", () => {
  const text = renderMarkdown(table([16]), paper);
  const [, section] = text.split("## Latency, guided\n\n");
  const cells = section!.split("\n\n")[0]!.trim().split("\n").map((line) =>
    line.split("|").slice(1, -1).map((x) => x.trim())
  );
  assertEquals(cells.filter((_, i) => i !== 1), [
    [
      "of",
      "drawn by",
      "tokens",
      "latency a sample, batch 1 (s) ↓",
      "paper",
      "speed-up over the teacher, batch 1 ↑",
      "paper",
    ],
    ["16 tokens teacher", "decoding, denoising", "16", "0.16 ± 0.01", "–", "–", "–"],
    ["16 tokens teacher", "decoding alone", "16", "0.08 ± 0.01", "–", "–", "–"],
    ["16 tokens", "heun 7", "4", "0.0100 ± 0.0002", "–", "16.0 ± 0.4", "–"],
    ["1024 tokens teacher", "decoding, denoising", "1024", "–", "10.7965", "–", "–"],
    ["1024 tokens", "heun 7", "–", "–", "0.0744", "–", "145"],
  ]);
  assertEquals(text.split("\n## ").length, 2, "tokens have no table of their own");
  assert(!text.includes("samples per figure"), "nothing was sampled for its quality");
  assert(!text.includes("samples seen in training"), "and nothing trained");
  assertStringIncludes(text, "- Timings move from run to run.");
});

Deno.test("the speed-up is plotted over the teacher's tokens, and only where there is more than one length", async () => {
  assertEquals(latencyPlotsOf(table([16])), []);
  assertEquals(latencyPlotsOf(table()), [{ name: "speedup-guided", guidance: "guided" }]);
  const options = latencyPlotsOf(table())[0]!;
  const { data } = latencySpec(table(), options) as { data: { values: { tokens: number; value: number }[] } };
  assertEquals(data.values.map(({ tokens, value }) => [tokens, value]), [[16, 16], [64, 64]]);
  const svg = await renderLatencyPlot(table(), options);
  assertEquals(await renderLatencyPlot(table(), options), svg);
  for (
    const word of ["<svg", "batch 1", "heun 7", "tokens of the teacher", ">16<", ">64<", "speed-up over the teacher"]
  ) {
    assertStringIncludes(svg, word);
  }
  await assertRejects(() => renderLatencyPlot(table(), { name: "x", guidance: "unguided" }), TypeError, "no figure");
});
