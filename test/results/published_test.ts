import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { nllFloor } from "../../lib/metrics/likelihood.ts";
import { parseFigureKey } from "../../lib/results/figures.ts";
import { parsePaper, readPaper } from "../../lib/results/paper.ts";

/** What the published tables say of each other, so that a slip of the pen in a paper.yaml shows. */
const figuresOf = async (experiment: string) => (await readPaper(experiment))!.figures;
const last = 268435456;

Deno.test("every paper.yaml reads, and names its metrics, rows and solvers as figures are named", async () => {
  let files = 0;
  for await (const { name } of Deno.readDir("experiments")) {
    const path = `experiments/${name}/paper.yaml`;
    const text = await Deno.readTextFile(path).catch(() => undefined);
    if (text === undefined) continue;
    for (const key of Object.keys(parsePaper(path, text).figures)) parseFigureKey(key);
    files++;
  }
  assert(files >= 10);
});

Deno.test("published tables agree in what they share: Table 4 with Figure 2, Tables 5 and 8, Table 9 with Table 10", async () => {
  const [table4, table5, table8, table9, table10] = await Promise.all(
    ["table4", "table5", "table8", "table9", "table10"].map(figuresOf),
  );
  const { "NFM teacher / guided / frechet": teacher, ...students } = table4!;
  assertEquals(await figuresOf("figure2"), students);
  for (const nfe of [31, 15, 7]) {
    for (const row of ["FM", "SD-FM", "NFM"]) {
      const key = `${row} / ${last} / heun ${nfe} / guided / frechet`;
      assertEquals(table5![key], table4![key]);
    }
    assertEquals(
      table8![`1024 tokens / heun ${nfe} / guided / frechet`],
      table4![`NFM / ${last} / heun ${nfe} / guided / frechet`],
    );
  }
  assertEquals(Object.keys(table5!).length, 1 + 7 * 3);
  for (
    const table of [table5!, { "NFM teacher / guided / frechet": table8!["1024 tokens teacher / guided / frechet"] }]
  ) {
    assertEquals(table["NFM teacher / guided / frechet"], teacher);
  }
  const student = (row: string) => `${row} / ${last} / heun 31 / guided / frechet`;
  assertEquals(table9![student("reference")], table4![student("NFM")]);
  assertEquals(table10![student("η=0.05")], table9![student("reference")]);
  for (const metric of ["nll", "guided / frechet"]) {
    assertEquals(table10![`η=0.05 teacher / ${metric}`], table9![`reference teacher / ${metric}`]);
  }
});

Deno.test("published speed-ups are the quotients of the published latencies", async () => {
  const table8 = await figuresOf("table8");
  for (const nfe of [31, 15, 7]) {
    const of = (figure: string) => table8[`1024 tokens / heun ${nfe} / guided / ${figure}`]!;
    const quotient = table8["1024 tokens teacher / guided / secondsBatch1"]! / of("secondsBatch1");
    assertEquals(Math.round(quotient), of("speedupBatch1"));
  }
});

Deno.test("published distances obey d_x² = base² + η², and Efron–Stein in z", async () => {
  const table1 = await figuresOf("table1");
  assertEquals(Object.keys(table1).length, 4 * 6);
  for (const eta of [0.025, 0.05, 0.1, 0.2]) {
    const of = (metric: string) => table1[`η=${eta} teacher / ${metric}`]!;
    assertEquals(of("dxSameData"), eta);
    assertAlmostEquals(of("dx"), Math.hypot(of("dxSameNoise"), eta), 0.01);
    assert(of("dzSameData") ** 2 + of("dzSameNoise") ** 2 >= of("dz") ** 2);
  }
});

Deno.test("published likelihoods lie above the floor of Eq. 3, 0.5 + ln η, and rise with η", async () => {
  const table10 = await figuresOf("table10");
  const nlls = [0.025, 0.05, 0.1, 0.2].map((eta) => {
    const nll = table10[`η=${eta} teacher / nll`]!;
    assert(nll > nllFloor(eta));
    return nll;
  });
  assertEquals(nlls.toSorted((a, b) => a - b), nlls);
});

Deno.test("published curvature: NFM is straighter than SD-FM, SD-FM than FM, under both solvers", async () => {
  const table3 = await figuresOf("table3");
  for (const sampler of ["heun 31", "euler 128 linear"]) {
    const [fm, sd, nfm] = ["FM", "SD-FM", "NFM"].map((row) =>
      table3[`${row} / ${last} / ${sampler} / unguided / curvature`]!
    );
    assert(nfm! < sd! && sd! < fm!);
  }
});
