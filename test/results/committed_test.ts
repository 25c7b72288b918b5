import { assert, assertEquals } from "@std/assert";
import { dirname, join } from "node:path";
import { nllFloor } from "../../lib/metrics/likelihood.ts";
import { readResolved } from "../../lib/recipes/print.ts";
import { rowRecipes } from "../../lib/recipes/rows.ts";
import { figureKey, type Figures, printFigures, readFigures } from "../../lib/results/figures.ts";
import { readText } from "../../lib/core/files.ts";

/** What the paper's mathematics demands of every committed result, whatever its scale. */
async function* committed(folder = "results"): AsyncGenerator<{ path: string; figures: Figures }> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* committed(path);
    else if (entry.name === "figures.json") yield { path, figures: await readFigures(path) };
  }
}

Deno.test("every committed figures.json is what the project writes, byte for byte, and was not cut by --limit", async () => {
  let found = 0;
  for await (const { path, figures } of committed()) {
    assertEquals(printFigures(figures), await readText(path), path);
    assert(!figures.caption.notes?.some((note) => note.includes("not comparable")), path);
    found++;
  }
  assert(found > 0);
});

Deno.test("no likelihood lies below the entropy of its noise, 0.5 + ln η (Eq. 3), in any committed row", async () => {
  let rows = 0;
  for await (const { path, figures: { figures } } of committed()) {
    const file = join(dirname(path), "resolved.yaml");
    for (const { name, teacher } of rowRecipes(await readResolved(file, await readText(file)))) {
      for (const metric of ["nll", "nllTest"]) {
        const figure = figures[figureKey({ row: `${name} teacher`, metric })];
        if (!figure) continue;
        const slack = 5 * (figure.standardError ?? 0) + 1e-4;
        assert(figure.value >= nllFloor(teacher.noiseStd) - slack, `${path}: ${name} ${metric} ${figure.value}`);
        rows++;
      }
    }
  }
  assert(rows > 0);
});

Deno.test("d_z(same x)² + d_z(same ε)² ≥ d_z² (Efron–Stein, paper §3.3) in every committed row", async () => {
  for await (const { path, figures: { figures } } of committed()) {
    const of = (row: string, metric: string) => figures[figureKey({ row, metric })]!;
    for (const key of Object.keys(figures).filter((key) => key.endsWith(" / dz"))) {
      const row = key.slice(0, -" / dz".length);
      const [both, data, noise] = ["dz", "dzSameData", "dzSameNoise"].map((metric) => of(row, metric));
      const slack = 6 * Math.max(...[both, data, noise].map((figure) => figure!.standardError ?? 1e-3));
      const sum = data!.value ** 2 + noise!.value ** 2;
      assert(sum >= both!.value ** 2 - slack, `${path}: ${row}: ${sum} < ${both!.value ** 2}`);
    }
  }
});
