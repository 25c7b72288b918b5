import { assertEquals, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { parseFigureKey } from "../../lib/results/figures.ts";
import { paperFigure, parsePaper, readPaper } from "../../lib/results/paper.ts";
import { listExperiments, loadRecipe } from "../../lib/recipes/load.ts";

Deno.test("every paper.yaml speaks of rows that its recipe has, at the checkpoints of its paper scale", async () => {
  for (const name of await listExperiments()) {
    const paper = await readPaper(name);
    if (!paper) continue;
    const { recipe } = await loadRecipe(name, "paper");
    // A table without checkpoints, such as that of latency, has none.
    if (paper.checkpoints.length > 0) assertEquals(paper.checkpoints, recipe.evaluation.checkpoints, name);
    for (const key of Object.keys(paper.figures)) {
      const { row } = parseFigureKey(key);
      assertEquals(Object.hasOwn(recipe.rows, row.replace(/ teacher$/, "")), true, `no row ${row}`);
    }
  }
});

Deno.test("the published Table 4 has its 36 figures and the teacher's; NFM is best in every column (the paper's claim)", async () => {
  const { figures, checkpoints } = (await readPaper("table4"))!;
  assertEquals(Object.keys(figures).length, 37);
  for (const nfe of [31, 15, 7]) {
    for (const checkpoint of checkpoints) {
      const [fm, sd, nfm] = ["FM", "SD-FM", "NFM"].map((row) =>
        figures[`${row} / ${checkpoint} / heun ${nfe} / guided / frechet`]!
      );
      assertEquals(Math.min(fm!, sd!, nfm!), nfm);
    }
  }
});

Deno.test("paperFigure() matches checkpoints by rank, and only where there are as many", async () => {
  const paper = (await readPaper("table4"))!;
  const key = "NFM / 50000 / heun 7 / guided / frechet";
  assertEquals(paperFigure(paper, key, [25000, 50000, 100000, 200000]), 5.03);
  assertEquals(paperFigure(paper, key, [50000]), undefined);
  assertEquals(paperFigure(paper, key.replace("guided", "unguided"), [25000, 50000, 100000, 200000]), undefined);
  assertEquals(paperFigure(paper, "NFM teacher / guided / frechet", []), 1.98);
});

Deno.test("parsePaper() takes a file without checkpoints, or without figures", () => {
  const once = parsePaper("paper.yaml", "caption: x\nfigures: { FM / frechet: 2 }");
  assertEquals(once, { caption: "x", checkpoints: [], figures: { "FM / frechet": 2 } });
  assertEquals(paperFigure(once, "FM / frechet", [128]), 2);
  assertEquals(paperFigure(once, "FM / 128 / frechet", [128]), undefined);
  assertEquals(parsePaper("paper.yaml", "caption: curves alone"), { ...once, caption: "curves alone", figures: {} });
});

Deno.test("parsePaper() explains a wrong file in one line", () => {
  const bad = [
    ["caption: x\ncheckpoints: [1]\nfigures: { FM / 2 / frechet: 1 }", "not among its checkpoints"],
    ["caption: x\ncheckpoints: [1]\nfigures: { FM / frechet: high }", "paper.yaml: figures.FM / frechet"],
    [
      "caption: x\ncheckpoints: [1]\nfigures: { FM / 1 / hein 31 / frechet: 1 }",
      'paper.yaml: "FM / 1 / hein 31 / frechet"',
    ],
    ["caption: [", "paper.yaml: not YAML"],
  ] as const;
  for (const [text, message] of bad) {
    const problem = assertThrows(() => parsePaper("paper.yaml", text), Problem, message);
    assertEquals(problem.message.includes("\n"), false);
  }
});
