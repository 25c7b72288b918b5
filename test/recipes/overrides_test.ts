import { assert, assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { parseRecipeText } from "../../lib/recipes/document.ts";
import { resolveDocument } from "../../lib/recipes/load.ts";
import { printChanges } from "../../lib/recipes/print.ts";
import { rowRecipe } from "../../lib/recipes/rows.ts";

const recipeText = await Deno.readTextFile(new URL("../fixtures/recipe.yaml", import.meta.url));

async function withOverrides(...overrides: string[]) {
  return await resolveDocument(await parseRecipeText("recipe.yaml", recipeText), "small", "quick", overrides);
}

Deno.test("an override changes a key by its full path or by any short form that can mean only one", async () => {
  for (const key of ["student.model.depth", "model.depth", "student.depth", "depth"]) {
    const { recipe, asWritten } = await withOverrides(`${key}=3`);
    assertEquals(recipe, {
      ...asWritten,
      student: { ...asWritten.student, model: { ...asWritten.student.model, depth: 3 } },
    });
  }
});

Deno.test("values are YAML: numbers, words, lists and maps", async () => {
  const { recipe } = await withOverrides(
    "student.learningRate=1.0e-4",
    "blocks=[2, 1]",
    "time={kind: uniform}",
    "teacher.schedule=constant",
    "flips=true",
  );
  assertEquals(recipe.student.training.learningRate, 1e-4);
  assertEquals(recipe.teacher.model.blocks, [2, 1]);
  assertEquals(recipe.student.time, { kind: "uniform" });
  assertEquals([recipe.teacher.training.schedule, recipe.flips], ["constant", true]);
});

Deno.test("seed=1,2,3 and seeds=[1,2,3] are the same seeds", async () => {
  assertEquals((await withOverrides("seed=1,2,3")).recipe.seeds, [1, 2, 3]);
  assertEquals((await withOverrides("seeds=[1,2,3]")).recipe.seeds, [1, 2, 3]);
  assertEquals((await withOverrides("seed=4")).recipe.seeds, [4]);
});

Deno.test("a sweep makes one row per value, and two sweeps their product", async () => {
  const { recipe } = await withOverrides("rows.NFM.coupling.sigma=scalar,none", "student.width=16,32");
  const names = ["FM, width=16", "FM, width=32"];
  for (const width of [16, 32]) {
    for (const sigma of ["scalar", "none"]) names.push(`NFM, sigma=${sigma}, width=${width}`);
  }
  assertEquals(Object.keys(recipe.rows).toSorted(), names.toSorted());
  const row = rowRecipe(recipe, "NFM, sigma=none, width=32");
  const other = recipe.rows["NFM, sigma=scalar, width=32"]!.coupling;
  assertEquals([row.student.model.width, row.coupling], [32, { ...other, sigma: "none" }]);
  assertEquals(row.teacher.noiseStd, 0.2, "the row keeps its own difference");
});

Deno.test("a step with a dot or an = in it stands in quotes", async () => {
  const added = '+rows."η=0.1"={coupling: {kind: independent}}';
  assert("η=0.1" in (await withOverrides(added)).recipe.rows);
  const { recipe } = await withOverrides(added, 'rows."η=0.1".student.model.depth=5');
  assertEquals(rowRecipe(recipe, "η=0.1").student.model.depth, 5);
  assertEquals("η=0.1" in (await withOverrides(added, '~rows."η=0.1"')).recipe.rows, false);
  await assertRejects(() => withOverrides(added, '~rows."η=0.2"'), Problem, 'did you mean "rows."η=0.1""');
});

Deno.test("+ adds a key or a row, ++ adds or changes, ~ deletes", async () => {
  const added = await withOverrides(
    "+rows.OT={coupling: {kind: semidiscrete}}",
    "+rows.FM.student={model: {depth: 2}}",
  );
  assertEquals(Object.keys(added.recipe.rows), ["FM", "NFM", "OT"]);
  assertEquals(rowRecipe(added.recipe, "FM").student.model.depth, 2);
  assertEquals((await withOverrides("++data.size=16")).recipe.data.size, 16);
  assertEquals(Object.keys((await withOverrides("~rows.FM")).recipe.rows), ["NFM"]);
});

Deno.test("an override of a kind leaves the old kind's options behind", async () => {
  const { recipe } = await withOverrides("rows.NFM.coupling.kind=independent");
  assertEquals(recipe.rows["NFM"]!.coupling, { kind: "independent" });
});

Deno.test("a row's own difference can be overridden although only the shared part is written", async () => {
  const { recipe } = await withOverrides("rows.FM.student.training.batch=32");
  assertEquals(rowRecipe(recipe, "FM").student.training.batch, 32);
  assertEquals(rowRecipe(recipe, "NFM").student.training.batch, 64);
});

Deno.test("printChanges() marks what was changed, what was added, what changed its type and what is gone", async () => {
  const { recipe, asWritten } = await withOverrides(
    "student.depth=2",
    "+rows.FM.flips=true",
    "~rows.NFM.teacher.noiseStd",
    "student.time.kind=uniform",
    "seed=1",
  );
  const text = printChanges(asWritten, recipe);
  for (
    const line of [
      "    depth: 2  # was 1",
      "    flips: true  # added",
      "    kind: uniform  # was logitNormal",
      "seeds: [1]  # was [0]",
      "# removed: student.time.mean",
      "# removed: rows.NFM.teacher.noiseStd",
    ]
  ) {
    assert(
      text.split("\n").some((one) => one.trimEnd() === line || one.trim() === line.trim()),
      `no line ${line} in\n${text}`,
    );
  }
  assertEquals(printChanges(asWritten, asWritten).includes("#"), false);
});

/** An override, and the whole message it must give. */
const mistakes: readonly (readonly [override: string, message: string])[] = [
  ["student.widht=3", 'student.widht=3: unknown key "student.widht"; did you mean "student.model.width"?'],
  ["width=3", 'width=3: "width" could be teacher.model.width or student.model.width; write more of it'],
  ["noiseStd=3,4", 'noiseStd=3,4: "noiseStd" could be teacher.noiseStd or rows.NFM.teacher.noiseStd; write more of it'],
  [
    "colour=red",
    'colour=red: unknown key "colour"; expected one of experiment, scale, title, version, seeds, data, autoencoder, flips, features, teacher, student, rows, evaluation',
  ],
  ["~rows.FN", '~rows.FN: unknown key "rows.FN"; did you mean "rows.FM"?'],
  ["~rows.FM=1", "~rows.FM=1: ~ deletes a key and takes no value; write ~rows.FM"],
  ["+data.size=8", "+data.size=8: data.size is already there; drop the +, or write ++"],
  ["+data", "+data: expected a value, as in +data=VALUE"],
  ["data.size=", "data.size=: expected a number, a word, true, false, [a list] or {a: map}, got nothing"],
  ["seeds=[1", 'seeds=[1: expected a number, a word, true, false, [a list] or {a: map}, got "[1"'],
  ["=3", "=3: expected key=value, for example student.batch=32"],
  ["a..b=3", "a..b=3: expected key=value, for example student.batch=32"],
  ["scale=desk", 'scale=desk: "scale" is no setting; name the experiment as a command\'s word, the scale by --scale'],
  [
    "evaluation.samplers.0.nfe=3",
    "evaluation.samplers.0.nfe=3: a list is replaced as a whole: evaluation.samplers=[…]",
  ],
  [
    "data.size=8,16",
    "data.size=8,16: cannot sweep over data.size; sweep over seeds, teacher, student, flips or rows.ROW keys, or give one run per value",
  ],
  ["student.patch=3", "student.patch=3: student.model.patch: expected a divisor of data.size (8), got 3"],
  [
    "student.batch=big",
    'student.batch=big: student.training.batch: expected a number, got "big" (samples per optimizer step, on any hardware)',
  ],
  [
    "student.samples=64",
    "student.samples=64: evaluation.checkpoints: expected at most student.training.samples (64), got 320",
  ],
  [
    "~student.training.batch",
    "~student.training.batch: student.training.batch: missing (samples per optimizer step, on any hardware)",
  ],
  [
    "+rows.OT={coupling: {kind: semidiscreet}}",
    '+rows.OT={coupling: {kind: semidiscreet}}: rows.OT.coupling.kind: expected one of independent, normalizingFlow, semidiscrete, got "semidiscreet"; did you mean "semidiscrete"?',
  ],
  ["seed=1,1", "seed=1,1: seeds: expected distinct seeds"],
];

for (const [override, message] of mistakes) {
  Deno.test(`an override is explained: ${override}`, async () => {
    const problem = await assertRejects(() => withOverrides(override), Problem);
    assertEquals([problem.message, problem.exitCode], [message, 2]);
  });
}
