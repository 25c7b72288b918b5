import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { Problem } from "../../lib/core/problem.ts";
import {
  folder,
  listResults,
  openSource,
  readResult,
  readResults,
  revision,
  type Source,
  workingTree,
} from "../../lib/results/tree.ts";
import { inProject, printed, type TemporaryProject } from "./temporary_project.ts";

const provenance = JSON.stringify({
  date: "2026-01-02T03:04:05Z",
  commit: "unknown",
  recipe: "0",
  overrides: [],
  engine: "wasm",
  threads: 2,
  seconds: { "student FM seed 0": 1.5 },
  environment: "1b4bb2fa",
});

async function writeResults(project: TemporaryProject, root = "results"): Promise<void> {
  await project.write(`${root}/table10/quick/figures.json`, printed());
  await project.write(`${root}/table4/quick/figures.json`, printed());
  await project.write(`${root}/table4/quick/provenance.json`, provenance);
  await project.write(`${root}/table4/quick/resolved.yaml`, "experiment: table4\n");
  await project.write(`${root}/table4/quick/table.md`, "# T\n");
  await project.write(`${root}/ablations/sigma/quick/figures.json`, printed());
  await project.write(`${root}/teachers/mnist-16/card.json`, "{}\n");
}

const places = ["ablations/sigma/quick", "table4/quick", "table10/quick"];

Deno.test("the working tree, a revision and a folder give the same results, in a reader's order", () =>
  inProject(async (project) => {
    await writeResults(project);
    const commit = await project.commit("results");
    const sources: Source[] = [
      await workingTree(project.root),
      await revision("HEAD", project.root),
      await folder(project.root),
      await folder(join(project.root, "results")),
    ];
    const contents = [];
    for (const source of sources) {
      assertEquals(listResults(source), places, source.name);
      const { path: _, ...content } = await readResult(source, "table4/quick");
      contents.push(content);
    }
    const [first, ...others] = contents;
    assertEquals(others, others.map(() => first!));
    assertEquals(first!.provenance?.seconds, { "student FM seed 0": 1.5 });
    assertEquals(first!.resolved, "experiment: table4\n");
    assertEquals(first!.files, ["figures.json", "provenance.json", "resolved.yaml", "table.md"]);
    assertEquals([sources[1]!.name, sources[1]!.commit], ["HEAD", commit]);
    assertEquals((await readResult(sources[1]!, "table4/quick")).path, "HEAD:results/table4/quick");
    assertEquals((await readResult(sources[0]!, "table4/quick")).path, join("results", "table4", "quick"));
  }));

Deno.test("a revision keeps what the working tree has lost; pictures come as bytes", () =>
  inProject(async (project) => {
    await writeResults(project);
    const picture = Uint8Array.of(137, 80, 78, 71, 0, 255);
    await Deno.writeFile(join(project.root, "results/table4/quick/samples.png"), picture);
    await project.commit("results");
    await project.git("rm", "-r", "--quiet", "results/table10");
    await project.commit("without table 10");
    assertEquals(listResults(await revision("HEAD~1", project.root)), places);
    assertEquals(listResults(await revision("main", project.root)), places.slice(0, 2));
    assertEquals(await (await revision("HEAD", project.root)).read("table4/quick/samples.png"), picture);
  }));

Deno.test("a project in a subfolder of its repository has its own results", () =>
  inProject(async (project) => {
    await writeResults(project, "papers/nfm/results");
    await project.write("results/other/quick/figures.json", printed());
    await project.commit("two projects");
    const source = await revision("HEAD", join(project.root, "papers/nfm"));
    assertEquals(listResults(source), places);
    assertEquals((await readResult(source, "table4/quick")).figures.caption.experiment, "table4");
  }));

Deno.test("one bad file does not hide the others", () =>
  inProject(async (project) => {
    await writeResults(project);
    await project.write("results/table10/quick/figures.json", printed().slice(0, -20));
    await project.write("results/table4/quick/provenance.json", provenance.replace('"seconds":{', '"seconds":['));
    await project.commit("damaged");
    for (const source of [await workingTree(project.root), await revision("HEAD", project.root)]) {
      const { results, faults } = await readResults(source);
      assertEquals(results.map(({ place }) => place), places.slice(0, 2));
      assertEquals(results[1]!.provenance, undefined);
      assertEquals(faults.length, 2);
      assertStringIncludes(faults[0]!, "results/table4/quick/provenance.json: ");
      assertStringIncludes(faults[1]!, "results/table10/quick/figures.json: ");
    }
  }));

Deno.test("openSource() takes a word for a folder or a revision, and says when it is neither or both", () =>
  inProject(async (project) => {
    await writeResults(project);
    await project.write("private/figures.json", printed());
    await project.write("empty/notes.txt", "nothing");
    const commit = await project.commit("results");
    const open = (text: string) => openSource(text, project.root);
    assertEquals((await open(commit.slice(0, 12))).commit, commit);
    assertEquals(listResults(await open("private")), ["."]);
    assertEquals(listResults(await open(join(project.root, "private"))), ["."]);
    assertEquals(listResults(await open("results/table4")), ["quick"]);

    await project.git("branch", "private");
    await assertRejects(() => open("private"), Problem, "write ./private for the folder");
    assertEquals((await open("./private")).commit, undefined);
    assertEquals((await open("refs/heads/private")).commit, commit);
    for (
      const [text, message] of [["nothing", "neither a commit"], ["--help", "neither"], ["empty", "no results in"]]
    ) {
      const problem = await assertRejects(() => open(text!), Problem, message);
      assert(!problem.message.includes("\n"));
    }
  }));
