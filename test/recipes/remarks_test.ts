import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseRecipeText } from "../../lib/recipes/document.ts";
import { listExperiments, loadRecipe } from "../../lib/recipes/load.ts";
import { isMapping, pathsOf, valueAt } from "../../lib/recipes/mapping.ts";
import { printChanges } from "../../lib/recipes/print.ts";
import { remarksOf } from "../../lib/recipes/remarks.ts";

Deno.test("remarksOf() finds the remark on the line of a key, in the layer that wrote it last", async () => {
  const document = await parseRecipeText(
    "some.yaml",
    `
base:
  one: 1 # first
  two: { three: 3 } # of both
  "four": "a # b" # quoted
  five: 5 # of the base
  list: # on the key's line
    - 1
scales:
  paper:
    five: 6
`,
  );
  const remarks = await remarksOf([{ document, at: ["base"] }, { document, at: ["scales", "paper"] }]);
  const paths = [["one"], ["two"], ["two", "three"], ["four"], ["five"], ["list"], ["none"]];
  assertEquals(
    paths.map((path) => remarks.of(path)),
    ["first", "of both", "of both", "quoted", undefined, "on the key's line", undefined],
  );
});

/** Names of the recipe itself, and options of a coupling that a row leaves at what Tables 4 and 6 state. */
const unremarked =
  /^(experiment|scale|title|version)$|^rows\.[^\n]*\.coupling\.(sigma|whitening|draws|endpoint|teacherLabel)$/;

for (const experiment of await listExperiments()) {
  Deno.test(`at paper scale every key of ${experiment} says whether it is the paper's or ours`, async () => {
    const { recipe, layers } = await loadRecipe(experiment, "paper");
    const remarks = await remarksOf(layers);
    const silent = pathsOf(recipe)
      .filter((path) => !isMapping(valueAt(recipe, path)) && !unremarked.test(path.join(".")))
      .filter((path) => !/^(paper (§|Table|Figure)|ours\b)/.test(remarks.of(path) ?? ""));
    assertEquals(silent.map((path) => path.join(".")), []);
  });
}

Deno.test("show prints the remarks, and an override's mark in their place", async () => {
  const { recipe, asWritten, layers } = await loadRecipe("table4", "paper", ["student.training.batch=512"]);
  const text = printChanges(asWritten, recipe, await remarksOf(layers));
  assertStringIncludes(text, "samples: 536870912  # paper §4: 512 MiB");
  assertStringIncludes(text, "emaDecay: 0.9999  # ours: SiT's");
  assertStringIncludes(text, "batch: 512  # was 256\n");
});
