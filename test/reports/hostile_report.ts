import { encode } from "fast-png";
import { openPicture } from "../../lib/reports/html/picture.tsx";
import type { Report } from "../../lib/reports/html/types.ts";
import { compareFigures } from "../../lib/results/compare.ts";
import type { Diff } from "../../lib/results/diff.ts";
import type { Figures } from "../../lib/results/figures.ts";

/** Text that would run, load or break out, were it not escaped. */
export const hostile =
  `"'><script>document.title="pwned"</script><img src=x onerror='document.title="pwned"'></style>&amp;`;

/** An SVG that runs and loads what it can. */
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10" onload='document.title="pwned"'>` +
  `<style>@import url(https://example.invalid/x.css); body{display:none}</style>` +
  `<script>document.title="pwned"</script><clipPath id="clip"><rect id="body" width="4" height="4"/></clipPath>` +
  `<g clip-path="url(#clip)" style="fill:red" onclick="alert(1)"><text>curve</text></g></svg>`;

/** A report with hostile text in every place that a file can fill. */
export function hostileReport(): Report {
  const row = "A (1,2)";
  const figures: Figures = {
    caption: {
      title: hostile,
      experiment: "table4",
      scale: "quick",
      version: 1,
      data: hostile,
      features: hostile,
      samples: 10,
      seeds: [0],
      guidance: hostile,
      notes: [hostile],
    },
    metrics: { frechet: { label: hostile, unit: "", better: "lower", digits: 2 } },
    figures: { [`${row} / 100 / heun 7 / guided / frechet`]: { value: 1, standardError: 0.1, sampleCount: 10 } },
  };
  const later: Figures = {
    ...figures,
    figures: { [`${row} / 100 / heun 7 / guided / frechet`]: { value: 2, standardError: 0.1, sampleCount: 10 } },
  };
  const png = encode({ width: 2, height: 1, data: new Uint8Array([0, 255]), channels: 1, depth: 8 });
  return {
    experiments: [{
      name: "table4",
      title: hostile,
      claim: hostile,
      results: [{
        name: "table4/quick",
        figures,
        paper: { caption: hostile, checkpoints: [100], figures: { [`${row} / 100 / heun 7 / guided / frechet`]: 3 } },
        provenance: {
          date: hostile,
          commit: hostile,
          recipe: hostile,
          overrides: [hostile],
          engine: hostile,
          threads: 1,
          seconds: { [`student ${row} seed 0`]: 1 },
          environment: hostile,
        },
        stale: hostile,
        commands: [hostile],
        rows: { [row]: { written: hostile, resolved: hostile, text: hostile } },
        pictures: [
          openPicture("table4/quick", "curve.svg", new TextEncoder().encode(svg)),
          openPicture("table4/quick", "curve-2.svg", new TextEncoder().encode(svg)),
          openPicture("table4/quick", "samples.png", png, [hostile]),
        ],
      }],
    }],
    comparison: { diff: hostileDiff(figures, later), shown: true },
    faults: [hostile],
  };
}

function hostileDiff(before: Figures, after: Figures): Diff {
  const source = { name: hostile, files: [], nameOf: () => hostile, read: () => Promise.reject(new Error("no file")) };
  const result = { path: hostile, files: [], faults: [] };
  return {
    before: source,
    after: source,
    results: [{
      place: "table4/quick",
      before: { ...result, place: "table4/quick", figures: before },
      after: { ...result, place: "table4/quick", figures: after },
      captions: { comparable: false, differences: [hostile] },
      recipe: hostile,
      stale: { after: hostile },
      changes: compareFigures(before, after),
    }],
    faults: [hostile],
  };
}
