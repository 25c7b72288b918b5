import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { resolve } from "node:path";
import { parse } from "../lib/cli.ts";
import { listAblations } from "../lib/recipes/load.ts";
import { parseRecipeText } from "../lib/recipes/document.ts";

const cli = new URL("../lib/cli.ts", import.meta.url).pathname;

async function run(...args: string[]) {
  const output = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", cli, ...args], env: { NO_COLOR: "1" } })
    .output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code: output.code, stdout: stdout!, stderr: stderr! };
}

/** A command line, and what its one line must say. */
const mistakes: readonly (readonly [args: string[], message: string])[] = [
  // The commands between the two are whichever there are.
  [["rnu", "table4"], 'There is no command "rnu"; expected one of run, '],
  [["rnu", "tabel4"], 'did you mean "run"?; see --help'],
  [["ablate", "sgima"], 'There is no ablation "sgima"; did you mean "sigma"?'],
  [["run", "tabel4"], 'There is no experiment "tabel4"; did you mean "table4"?'],
  [["run", "table4", "--scale", "dsk"], '--scale dsk: expected one of quick, desk, paper; did you mean "desk"?'],
  [
    ["run", "table4", "student.widht=3"],
    'student.widht=3: unknown key "student.widht"; did you mean "student.model.width"?',
  ],
  [["show", "table4", "--sclae", "desk"], 'did you mean "--scale"?'],
  [["run", "table4", "--limit", "-1"], "-1 is below zero: no option of run takes such a number"],
  [["convert", "a", "b", "--size", "-3"], "-3 is below zero: no option of convert takes such a number"],
  [["convert", "a", "b", "--modl", "sit"], "There is no option --modl; expected one of --model, "],
  [["diff", "--al=3"], "There is no option --al; expected one of --fail-on, "],
  [["runs", "--jsn"], 'expected one of --md, --json, --help; did you mean "--json"?'],
  [["run", "table4", "--limit", "8", "--out", resolve("results/x")], "stay out of results/; name another folder"],
  [["run", "table4", "--dry-run", "student.width=1000000000"], "expected a number of at most 65536, got 1000000000"],
];

for (const [args, message] of mistakes) {
  Deno.test(`cli ${args.join(" ")} is one line on standard error and exit 2`, async () => {
    const { code, stdout, stderr } = await run(...args);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, message);
    assertEquals(stderr.trimEnd().split("\n").length, 1);
  });
}

Deno.test("cli show prints a recipe that is YAML, its changes marked, and loads no engine for it", async () => {
  const { code, stdout } = await run("show", "table4", "--scale", "desk", "student.depth=5", "seed=1,2");
  assertEquals(code, 0);
  assertStringIncludes(stdout, "depth: 5  # was 4");
  const { value } = await parseRecipeText("shown", stdout);
  assertEquals([value["scale"], value["seeds"]], ["desk", [1, 2]]);
});

Deno.test("cli ablate --list names every ablation beside its title", async () => {
  const { code, stdout } = await run("ablate", "--list");
  assertEquals(code, 0);
  const lines = stdout.trimEnd().split("\n");
  assertEquals(lines.map((line) => line.split(" ")[0]), [...await listAblations()]);
  assertStringIncludes(stdout, "σ_f per dimension (the paper's), one for all, none");
});

Deno.test("cli --help teaches the commands, the scales, the overrides and the files", async () => {
  const { code, stdout } = await run("--help");
  assertEquals(code, 0);
  for (
    const word of [
      "deno task table4",
      "--scale",
      "student.width=128",
      "seed=1,2,3",
      "figures.json",
      "table.md",
      "--dry-run",
      "deno task diff",
      "deno task runs",
    ]
  ) {
    assertStringIncludes(stdout, word);
  }
  assert(stdout.split("\n").every((line) => line.length <= 120));
});

Deno.test("parse() takes options before and after the experiment, with = or a space, the last one counting", () => {
  const line = parse("run", [
    "--scale=desk",
    "table4",
    "student.batch=32",
    "--force",
    "--limit",
    "64",
    "--scale",
    "quick",
    "~rows.FM",
  ]);
  assertEquals([line.experiment, line.scale, line.force, line.limit], ["table4", "quick", "all", 64]);
  assertEquals(line.overrides, ["student.batch=32", "~rows.FM"]);
  assertEquals(parse("run", ["table4", "--force=student"]).force, "student");
  assertEquals(parse("run", ["table4", "--dry-run"]).dryRun, true);
});
