import { assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { Problem } from "../../lib/core/problem.ts";
import { countVerdicts, diffSources } from "../../lib/results/diff.ts";
import { folder, openSource, revision, workingTree } from "../../lib/results/tree.ts";
import { inProject, printed, smallTable } from "./temporary_project.ts";

const better = smallTable().figures;
const worse = {
  ...better,
  "NFM / 64 / heun 7 / unguided / frechet": { value: 12, standardError: 0.3, sampleCount: 500 },
};

Deno.test("diffSources() pairs results by place, and says which side alone has one", () =>
  inProject(async (project) => {
    await project.write("results/table4/quick/figures.json", printed());
    await project.write("results/table5/quick/figures.json", printed());
    await project.commit("first");
    await project.git("rm", "-r", "--quiet", "results/table5");
    await project.write("results/table4/quick/figures.json", printed({}, worse));
    await project.write("results/table10/quick/figures.json", printed());
    const { results, faults } = await diffSources(
      await revision("HEAD", project.root),
      await workingTree(project.root),
    );
    assertEquals(faults, []);
    assertEquals(results.map(({ place, before, after }) => [place, before !== undefined, after !== undefined]), [
      ["table4/quick", true, true],
      ["table5/quick", true, false],
      ["table10/quick", false, true],
    ]);
    assertEquals(results.map(({ changes }) => changes.map(({ verdict }) => verdict)), [
      ["same", "worse", "same"],
      ["gone", "gone", "gone"],
      ["new", "new", "new"],
    ]);
    assertEquals(countVerdicts(results), {
      better: 0,
      worse: 1,
      "within noise": 0,
      changed: 0,
      new: 3,
      gone: 3,
      same: 2,
    });
  }));

Deno.test("diffSources() compares a private run with the result that it is a variant of, on either side", () =>
  inProject(async (project) => {
    await project.write("results/table4/quick/figures.json", printed());
    await project.write("results/ablations/sigma/quick/figures.json", printed());
    await project.write(".nfm/results/table4/quick-0123abcd/figures.json", printed({}, worse));
    await project.write(".nfm/results/ablations/sigma/quick-0123abcd/figures.json", printed({}, worse));
    await project.write("elsewhere/figures.json", printed({}, worse));
    await project.write("strange/figures.json", printed({ experiment: "table99" }));
    const open = (path: string) => openSource(path, project.root);
    const committed = await workingTree(project.root);
    const partners: [run: string, place: string][] = [
      [".nfm/results/table4/quick-0123abcd", "table4/quick"],
      [".nfm/results/ablations/sigma/quick-0123abcd", "ablations/sigma/quick"],
      ["elsewhere", "table4/quick"],
    ];
    for (const [run, place] of partners) {
      const [forth] = (await diffSources(committed, await open(run))).results;
      assertEquals([forth!.before!.place, forth!.changes[1]!.verdict], [place, "worse"]);
      const [back, ...others] = (await diffSources(await open(run), committed)).results;
      assertEquals([back!.after!.place, back!.changes[1]!.verdict, others], [place, "better", []]);
    }
    const [two] = (await diffSources(await open("elsewhere"), await open("strange"))).results;
    assertEquals(two!.captions, { comparable: false, differences: ['experiment was "table4", is "table99"'] });
    const alone = await open("strange");
    await assertRejects(() => diffSources(committed, alone), Problem, "no table99/quick to compare");
  }));

Deno.test("diffSources() stands each figure beside the paper's of the same rank, and names what the recipes differ in", () =>
  inProject(async (project) => {
    const figures = Object.fromEntries([64, 128, 256, 512].map((checkpoint) => [
      `NFM / ${checkpoint} / heun 7 / guided / frechet`,
      { value: 10, standardError: 0.3, sampleCount: 500 },
    ]));
    for (const [side, width] of [["a", 64], ["b", 128]] as const) {
      await project.write(`${side}/figures.json`, printed({}, figures));
      await project.write(`${side}/resolved.yaml`, `experiment: table4\nstudent:\n  width: ${width}\n`);
    }
    const [a, b] = [await folder(join(project.root, "a")), await folder(join(project.root, "b"))];
    const [result] = (await diffSources(a, b)).results;
    assertEquals(result!.recipe, "student.width was 64, is 128");
    assertEquals(result!.changes.map(({ paper }) => paper), [11.01, 5.03, 3.76, 3.23]);
    assertEquals((await diffSources(a, a)).results[0]!.recipe, undefined);
  }));
