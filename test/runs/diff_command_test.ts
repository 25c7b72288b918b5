import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hashOf } from "../../lib/core/hash.ts";
import { Problem } from "../../lib/core/problem.ts";
import { diffCommand } from "../../lib/runs/diff_command.ts";
import { runsCommand } from "../../lib/runs/runs_command.ts";
import { inProject, printed, smallTable, type TemporaryProject } from "../results/temporary_project.ts";

const project = fileURLToPath(new URL("../../", import.meta.url));
const { tasks } = JSON.parse(await Deno.readTextFile(join(project, "deno.json")));

/** Runs a task as it stands in deno.json, with its own permissions, in another project. */
async function task(name: "diff" | "runs", { root }: TemporaryProject, ...args: string[]) {
  const [, ...words] = tasks[name].command.split(" ") as string[];
  const command = words.flatMap((word) =>
    word === "lib/cli.ts" ? ["--config", join(project, "deno.json"), join(project, word)] : [word]
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...command, ...args],
    cwd: root,
    env: { FORCE_COLOR: "1" },
  }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

/** A project with the recipe of table 4 and one result of it, committed, which is then made worse. */
async function withResults({ write, commit }: TemporaryProject): Promise<void> {
  const recipe = "experiments/table4/recipe.yaml";
  await write(recipe, await Deno.readTextFile(join(project, recipe)));
  await write("results/table4/quick/figures.json", printed());
  await write(
    "results/table4/quick/provenance.json",
    JSON.stringify({
      date: "2026-01-02T03:04:05Z",
      commit: "0123456789abcdef0123456789abcdef01234567+dirty",
      recipe: hashOf("another recipe"),
      overrides: [],
      engine: "libtensorflow 2.21.0 (native) on a machine, 2 threads",
      threads: 2,
      seconds: { "student FM seed 0": 60.2, "evaluation FM seed 0 at 64": 30 },
      environment: "1b4bb2fa",
    }),
  );
  await commit("results");
}

const worse = {
  ...smallTable().figures,
  "NFM / 64 / heun 7 / unguided / frechet": { value: 12, standardError: 0.3, sampleCount: 500 },
};

Deno.test("deno task diff compares the last commit with the working tree, and fails on request", () =>
  inProject(async (temporary) => {
    await withResults(temporary);
    const unchanged = await task("diff", temporary, "--fail-on", "any");
    assertEquals([unchanged.code, unchanged.err], [0, ""]);
    assertStringIncludes(unchanged.out, "HEAD → the working tree: 3 same; 1 of 1 results stale");

    await temporary.write("results/table4/quick/figures.json", printed({}, worse));
    const { code, out, err } = await task("diff", temporary);
    assertEquals([code, err], [0, ""], "to look is no failure");
    assertStringIncludes(out, "1 worse, 2 same");
    assertStringIncludes(out, "stale: the recipe changed");
    assert(!out.includes("\x1b"), "no colour where there is no terminal");
    assertEquals((await task("diff", temporary, "--fail-on", "worse")).code, 1);
    const within = {
      ...worse,
      "NFM / 64 / heun 7 / unguided / frechet": { value: 10.1, standardError: 0.3, sampleCount: 500 },
    };
    await temporary.write("results/table4/quick/figures.json", printed({}, within));
    assertEquals((await task("diff", temporary, "--fail-on=worse")).code, 0);
    assertEquals((await task("diff", temporary, "--fail-on=any")).code, 1);

    await temporary.write("results/table4/quick/figures.json", "{");
    const damaged = await task("diff", temporary, "--fail-on=worse");
    assertEquals(damaged.code, 1, "what cannot be read may hide something worse");
    assertStringIncludes(damaged.err, "Cannot read results/table4/quick/figures.json");
  }));

Deno.test("deno task diff takes revisions and folders, as a table, Markdown or JSON", () =>
  inProject(async (temporary) => {
    await withResults(temporary);
    await temporary.write("results/table4/quick/figures.json", printed({}, worse));
    const second = await temporary.commit("worse");
    const json = JSON.parse((await task("diff", temporary, second, "HEAD~1", "--json")).out);
    assertEquals([json.before.commit, json.counts.better, json.results[0].changes.length], [second, 1, 1]);
    const [{ verdict, difference }] = json.results[0].changes;
    assertEquals([verdict, difference], ["better", -2]);
    const markdown = await task("diff", temporary, "HEAD~1", "results/table4/quick", "--md");
    assertStringIncludes(markdown.out, "| **worse** |");
    assertEquals(
      (await task("diff", temporary, "HEAD~1", "HEAD", "--all", "--json")).out.match(/"verdict"/g)!.length,
      3,
    );
  }));

Deno.test("diffCommand() and runsCommand() explain a mistake in one line", async () => {
  const cases: [command: (args: string[]) => Promise<void>, args: string[], message: string][] = [
    // All digits and an e: a revision, not the number.
    [diffCommand, ["9e99999"], '"9e99999" is neither a commit'],
    [diffCommand, ["a", "b", "c"], 'what is "c"?'],
    [diffCommand, ["--al"], 'did you mean "--all"?'],
    [diffCommand, ["--fail-on", "wrose"], 'did you mean "worse"?'],
    [runsCommand, ["nowhere"], '"nowhere" is neither a commit'],
    [runsCommand, ["a", "b"], 'what is "b"?'],
    [runsCommand, ["--jsno"], 'did you mean "--json"?'],
  ];
  for (const [command, args, message] of cases) {
    const problem = await assertRejects(() => command(args), Problem, message);
    assert(!problem.message.includes("\n"));
  }
});

Deno.test("deno task runs lists results and private runs with cost, and why one is stale", () =>
  inProject(async (temporary) => {
    await withResults(temporary);
    await temporary.write(".nfm/results/table4/quick-0123abcd/figures.json", printed({ seeds: [1, 2] }));
    await temporary.write("results/table5/quick/figures.json", "{");
    const { code, out, err } = await task("runs", temporary);
    assertEquals(code, 0);
    const cells = (name: string) =>
      out.split("\n").find((line) => line.includes(name))!.split("│").map((x) => x.trim());
    assertEquals(cells("results/table4/quick ").slice(1, -1), [
      "results/table4/quick",
      "table4",
      "quick",
      "2026-01-02 03:04",
      "0123456+dirty",
      "0",
      "libtensorflow 2.21.0 (native)",
      "1 min 30 s",
      "stale: the recipe changed",
    ]);
    assertEquals(cells("quick-0123abcd")[6], "1, 2");
    assertStringIncludes(err, "Cannot read results/table5/quick/figures.json");
    const json = JSON.parse((await task("runs", temporary, "HEAD", "--json")).out);
    assertEquals(json.runs.map(({ path, seconds, stale }: Record<string, unknown>) => [path, seconds, stale]), [
      ["HEAD:results/table4/quick", 90.2, "the recipe changed"],
    ]);
    assertStringIncludes((await task("runs", temporary, "--md")).out, "| results/table4/quick | table4 | quick |");
  }));
