import { assert, assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { parseRecipeText } from "../../lib/recipes/document.ts";
import { listAblations, listExperiments, loadRecipe, resolveDocument } from "../../lib/recipes/load.ts";
import { printRecipe, readResolved } from "../../lib/recipes/print.ts";
import { rowRecipe, rowRecipes } from "../../lib/recipes/rows.ts";
import { type CouplingRecipe, scales } from "../../lib/recipes/types.ts";

const recipeText = await Deno.readTextFile(new URL("../fixtures/recipe.yaml", import.meta.url));

async function resolve(text: string) {
  return await resolveDocument(await parseRecipeText("recipe.yaml", text), "small", "quick");
}

/** Experiments and ablations, under the names that `loadRecipe` takes. */
async function everyName(): Promise<readonly string[]> {
  const experiments = await listExperiments(), ablations = await listAblations();
  assert(experiments.length > 0 && ablations.length > 0);
  return [...experiments, ...ablations.map((name) => `ablations/${name}`)];
}

Deno.test("every experiment and ablation of the project resolves at each scale", async () => {
  for (const name of await everyName()) {
    for (const scale of scales) {
      const { recipe } = await loadRecipe(name, scale);
      assertEquals([recipe.experiment, recipe.scale], [name, scale]);
    }
  }
});

Deno.test("readResolved() of printRecipe() is the recipe, at every scale of every experiment and ablation", async () => {
  for (const name of await everyName()) {
    for (const scale of scales) {
      const { recipe } = await loadRecipe(name, scale);
      const text = printRecipe(recipe);
      const back = await readResolved("resolved.yaml", text);
      assertEquals(back, recipe);
      assertEquals(printRecipe(back), text);
    }
  }
});

Deno.test("a scale is a difference from the base: maps merge by key, lists and scalars replace", async () => {
  const { recipe } = await resolve(
    recipeText.replace("quick: {}", "quick: { seeds: [7], teacher: { model: { blocks: [1] } } }"),
  );
  assertEquals(recipe.seeds, [7]);
  assertEquals(recipe.teacher.model, { kind: "tarflow", patch: 2, width: 16, headWidth: 8, blocks: [1] });
});

Deno.test("semidiscrete goes with flips, and with an autoencoder, one at a time", async () => {
  const latents = "autoencoder: { pretrained: a, model: { kind: convolutional, widths: [4] }, scale: 1 }";
  for (const beside of ["flips: true", latents, `flips: true, ${latents}, rows: { SD: { flips: false } }`]) {
    const rows = recipeText.replace("  rows:\n", "  rows:\n    SD: { coupling: { kind: semidiscrete } }\n");
    await resolve(rows.replace("quick: {}", `quick: { ${beside} }`));
  }
});

Deno.test("a difference that names another kind leaves the old kind's options behind", async () => {
  const changed = recipeText.replace(
    "quick: {}",
    "quick: { student: { time: { kind: uniform } }, data: { kind: fashionMnist } }",
  );
  const { recipe } = await resolve(changed);
  assertEquals(recipe.student.time, { kind: "uniform" });
  assertEquals(recipe.data, { kind: "fashionMnist", size: 8 });
});

Deno.test("rowRecipe() lays a row's differences over the shared parts and fills in defaults", async () => {
  const { recipe } = await resolve(recipeText);
  const plain = rowRecipe(recipe, "FM"), own = rowRecipe(recipe, "NFM");
  assertEquals(plain.teacher.noiseStd, 0.1);
  assertEquals(own.teacher.noiseStd, 0.2);
  assertEquals({ ...own.teacher, noiseStd: 0.1 }, plain.teacher);
  assertEquals(own.student.training.samples, 320);
  assertEquals(rowRecipes(recipe).map(({ name }) => name), ["FM", "NFM"]);
});

Deno.test("the options of a coupling are typed by its registry", async () => {
  const { recipe } = await resolve(recipeText);
  const coupling: CouplingRecipe = recipe.rows["NFM"]!.coupling;
  assert(coupling.kind === "normalizingFlow");
  assertEquals(coupling.sigma, "perDimension");
});

Deno.test("a recipe that extends another is a difference from it, at each scale", async () => {
  const folder = ".nfm/test-extends";
  await Deno.mkdir(folder, { recursive: true });
  try {
    await Deno.writeTextFile(`${folder}/parent.yaml`, recipeText);
    const child = (parent: string) =>
      `title: More noise\nextends: ${folder}/${parent}.yaml\nbase: { teacher: { noiseStd: 0.3 } }\n`;
    const { recipe } = await resolve(child("parent"));
    assertEquals([recipe.title, recipe.version, recipe.teacher.noiseStd], ["More noise", 3, 0.3]);
    // Four above one, the last word being the lowest's.
    for (const [name, parent] of [["a", "parent"], ["b", "a"], ["c", "b"], ["d", "c"]] as const) {
      await Deno.writeTextFile(`${folder}/${name}.yaml`, child(parent).replace("0.3", `0.3${name.charCodeAt(0)}`));
    }
    assertEquals((await resolve(child("c"))).recipe.teacher.noiseStd, 0.3);
    assertEquals((await resolve(child("c").replace(/base.*/, ""))).recipe.teacher.noiseStd, 0.399);
    await assertRejects(
      () => resolve(child("d")),
      Problem,
      `${folder}/a.yaml:2:10: extends: expected at most 4 recipes above one: ` +
        `recipe.yaml extends ${
          ["d", "c", "b", "a", "parent"].map((name) => `${folder}/${name}.yaml`).join(" extends ")
        }`,
    );
    await Deno.writeTextFile(`${folder}/a.yaml`, child("./c"));
    await assertRejects(
      () => resolve(child("b")),
      Problem,
      `${folder}/c.yaml:2:10: extends: expected a recipe that does not extend this one in turn: ` +
        ["b", "a", "c", "b"].map((name) => `${folder}/${name}.yaml`).join(" extends "),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("null in a difference deletes what stands above it, and names the nearest key where nothing does", async () => {
  const { recipe } = await resolve(recipeText.replace("quick: {}", "quick: { rows: { FM: null }, flips: null }"));
  assertEquals([Object.keys(recipe.rows), recipe.flips], [["NFM"], false]);
  const again = recipeText.replace(
    "quick: {}",
    "quick: { rows: { FM: null, FM 2: { coupling: { kind: independent } } } }",
  );
  assertEquals(Object.keys((await resolve(again)).recipe.rows), ["NFM", "FM 2"]);
});

/** A change of the text, and the whole message it must give. */
const mistakes: readonly (readonly [from: string, to: string, message: string])[] = [
  [
    "noiseStd: 0.1",
    "noisStd: 0.1",
    'recipe.yaml:12:5: teacher.noisStd: unknown key; did you mean "teacher.noiseStd"? (and 1 more)',
  ],
  ["time:", "width: 8\n    time:", 'recipe.yaml:16:5: student.width: unknown key; did you mean "student.model.width"?'],
  ["  features:", "  feature:", 'recipe.yaml:8:3: feature: unknown key; did you mean "features"? (and 1 more)'],
  ["base:", "bases:", 'recipe.yaml:4:1: bases: unknown key; did you mean "base"?'],
  ["quick: {}", "quik: {}", 'recipe.yaml:37:3: scales.quik: unknown key; did you mean "scales.quick"?'],
  ["quick: {}", "desk: {}", 'recipe.yaml has no scale "quick"; it has desk'],
  [
    "kind: mnist",
    "kind: minst",
    'recipe.yaml:6:17: data.kind: expected one of fashionMnist, imageNet, mnist, got "minst"; did you mean "mnist"?',
  ],
  [
    "kind: independent",
    "knid: independent",
    'recipe.yaml:23:23: rows.FM.coupling.knid: unknown key; did you mean "rows.FM.coupling.kind"?',
  ],
  ["size: 8", "size: 9", "recipe.yaml:6:30: data.size: expected one of 8, 16, 28, 32, got 9"],
  [
    "batch: 64,",
    'batch: "64",',
    'recipe.yaml:13:38: teacher.training.batch: expected a number, got "64" (samples per optimizer step, on any hardware)',
  ],
  [
    "batch: 64,",
    "batch: 6.5,",
    "recipe.yaml:13:38: teacher.training.batch: expected an integer, got 6.5 (samples per optimizer step, on any hardware)",
  ],
  [
    "batch: 64,",
    "batch: 0,",
    "recipe.yaml:13:38: teacher.training.batch: expected a number of at least 1, got 0 (samples per optimizer step, on any hardware)",
  ],
  [
    "batch: 64,",
    "batch: 64, microBatches: 3,",
    "recipe.yaml:13:56: teacher.training.microBatches: expected a divisor of batch (64), got 3",
  ],
  [
    "learningRate: 2.0e-3",
    "learningRate: .nan",
    "recipe.yaml:13:56: teacher.training.learningRate: expected a number, got NaN (peak rate of AdamW)",
  ],
  [
    "samples: 640",
    "samples: 9007199254740993",
    "recipe.yaml:13:26: teacher.training.samples: expected a number of at most 9007199254740991, got 9007199254740992 (samples seen in all; steps = samples / batch, rounded up)",
  ],
  ["patch: 2", "patch: 3", "recipe.yaml:11:36: teacher.model.patch: expected a divisor of data.size (8), got 3"],
  [
    "headWidth: 8",
    "headWidth: 5",
    "recipe.yaml:11:61: teacher.model.headWidth: expected a divisor of width (16), got 5",
  ],
  ["heads: 2", "heads: 3", "recipe.yaml:15:63: student.model.heads: expected a divisor of width (16), got 3"],
  [
    "width: 16, depth",
    "width: 18, depth",
    "recipe.yaml:15:42: student.model.width: expected a multiple of 4, got 18 (channels of a token)",
  ],
  [
    "noiseStd: 0.1",
    "noiseStd: 0",
    "recipe.yaml:12:15: teacher.noiseStd: expected more than 0: without noise the likelihood of pixels has no bound",
  ],
  [
    "noiseStd: 0.2",
    "noiseStd: none",
    'recipe.yaml:26:28: rows.NFM.teacher.noiseStd: expected a number, got "none" (η of paper §2.2: standard deviation of the noise added to the data)',
  ],
  [
    "noiseStd: 0.2",
    "nois: 0.2",
    'recipe.yaml:26:18: rows.NFM.teacher.nois: unknown key; did you mean "rows.NFM.teacher.noiseStd"?',
  ],
  [
    "nfe: 7",
    "nfe: 8",
    "recipe.yaml:30:37: evaluation.samplers.0.nfe: Heun's nfe is 2 · steps - 1: expected an odd number, got 8",
  ],
  [
    "[128, 320]",
    "[320, 128]",
    "recipe.yaml:29:24: evaluation.checkpoints.1: expected more than 320, the one before, got 128",
  ],
  [
    "[128, 320]",
    "[128, 321]",
    "recipe.yaml:29:18: evaluation.checkpoints: expected at most student.training.samples (320), got 321",
  ],
  [
    "[128, 320]",
    "[128, 129, 130]",
    "recipe.yaml:29:18: evaluation.checkpoints: expected checkpoints at least a batch (64) apart, got 129 and 130",
  ],
  [
    "[frechet, loss]",
    "[latency]",
    "recipe.yaml:28:3: evaluation.latency: missing; the metric latency needs its batches, repeats and guidanceWeight",
  ],
  [
    "low: 1, high: 4",
    "low: 4, high: 1",
    "recipe.yaml:32:37: evaluation.guidanceSearch.high: expected more than low (4), got 1",
  ],
  [
    "[frechet, loss]",
    "[frechet, los]",
    'recipe.yaml:35:24: evaluation.metrics.1: expected one of frechet, curvature, priorMismatch, samples, loss, likelihood, teacherFrechet, zDistance, parameters, latency, got "los"; did you mean "loss"?',
  ],
  ["[frechet, loss]", "[loss, loss]", "recipe.yaml:35:14: evaluation.metrics: expected each entry once"],
  ["seeds: [0]", "seeds: [-1]", "recipe.yaml:5:11: seeds.0: expected a number of at least 0, got -1"],
  ["seeds: [0]", "seeds: [1, 1]", "recipe.yaml:5:10: seeds: expected distinct seeds"],
  ["seeds: [0]", "seeds: 0", "recipe.yaml:5:10: seeds: expected a list, got 0 (one training per seed and row)"],
  [
    "seeds: [0]",
    "seeds: []",
    "recipe.yaml:5:10: seeds: expected a list of at least 1, got a list (one training per seed and row)",
  ],
  [
    "flips: false",
    "flips: maybe",
    'recipe.yaml:7:10: flips: expected true or false, got "maybe" (mirror half of the training images left to right)',
  ],
  [
    "pretrained: results/teachers/t",
    "pretrained: ../t",
    'recipe.yaml:10:17: teacher.pretrained: expected a path inside the project, relative to its root, without .., got "../t"',
  ],
  [
    "labelDropout: 0.1 }\n  rows",
    "labelDropout: 0 }\n  rows",
    "recipe.yaml:20:23: student.training.labelDropout: expected more than 0: guidance needs a student that has seen dropped labels",
  ],
  [
    "kind: normalizingFlow }",
    "kind: normalizingFlow, whitening: class }",
    'recipe.yaml:25:53: rows.NFM.coupling.whitening: expected none, or sigma: none beside it, since it takes the place of σ_f, got "class"',
  ],
  [
    "quick: {}",
    "quick: { rows: { NFMM: null } }",
    'recipe.yaml:37:20: rows.NFMM: expected a value, or for null a key that is there to delete; did you mean "rows.NFM"?',
  ],
  [
    "quick: {}",
    "quick: { teacher: { other: { deep: ~ } } }",
    "recipe.yaml:37:32: teacher.other.deep: expected a value, or for null a key that is there to delete",
  ],
  ["seeds: [0]", "seeds:", "recipe.yaml:5:3: seeds: expected a value, or for null a key that is there to delete"],
  [
    "version: 3",
    "version: three",
    'recipe.yaml:3:10: version: expected a number, got "three" (raised when the meaning of a figure changes)',
  ],
  ["title: Small", "titel: Small", 'recipe.yaml:2:1: titel: unknown key; did you mean "title"? (and 1 more)'],
  [
    "title: Small",
    "title: Small\nextends: nowhere.yaml",
    "recipe.yaml:3:10: extends: expected a recipe file from the project's root, but nowhere.yaml does not exist",
  ],
  ["seeds: [0]", "seeds: [0]\n  seeds: [1]", "recipe.yaml:6:3: not YAML: duplicated key"],
  ["seeds: [0]", "seeds: &a [0]", "recipe.yaml:5:13: recipes have no anchors and aliases; write the value out"],
  [
    "seeds: [0]",
    "seeds: !!js/function x",
    "recipe.yaml:5:25: not YAML: Cannot resolve unknown tag !<tag:yaml.org,2002:js/function>",
  ],
  [
    "seeds: [0]",
    "__proto__: { seeds: [0] }",
    "recipe.yaml:5:3: __proto__: unknown key; expected one of experiment, scale, title, version, seeds, data, autoencoder, flips, features, teacher, student, rows, evaluation (and 1 more)",
  ],
  [
    "quick: {}",
    "quick: { autoencoder: { pretrained: a, model: { kind: convolutional, widths: [4, 4] }, scale: 1 } }",
    "recipe.yaml:15:32: student.model.patch: expected a divisor of the latents' side (2), got 4",
  ],
  [
    "quick: {}",
    "quick: { autoencoder: { pretrained: a, model: { kind: convolutional, widths: [4, 4, 4, 4] }, scale: 1 } }",
    "recipe.yaml:37:49: autoencoder.model: expected levels whose factor divides data.size (8), got a factor of 16 (and 2 more)",
  ],
  [
    "quick: {}",
    "quick: { autoencoder: { pretrained: a, model: { kind: autoencoderKl } } }",
    "recipe.yaml:37:12: autoencoder.scale: expected with published weights, which have no card to take it from (and 2 more)",
  ],
  [
    "quick: {}",
    "quick: { autoencoder: { pretrained: a, model: { kind: convolutional, widths: [4] }, training: { samples: 64, " +
    "batch: 32, learningRate: 0.1, klWeight: 0, warmupSteps: 9 } } }",
    "recipe.yaml:37:168: autoencoder.training.warmupSteps: expected at most the 2 steps of the training, got 9",
  ],
  [
    "quick: {}",
    "quick: { flips: true, rows: { SD: { coupling: { kind: semidiscrete } } }, " +
    "autoencoder: { pretrained: a, model: { kind: convolutional, widths: [4] }, scale: 1 } }",
    "recipe.yaml:37:57: rows.SD.coupling.kind: semidiscrete mirrors the latents that it assigns, and an autoencoder's " +
    "latents of a mirrored image are others: expected flips: false beside it (rows.SD.flips=false), or no autoencoder",
  ],
  ["quick: {}", `quick: ${"{a: ".repeat(40)}${"}".repeat(40)}`, "recipe.yaml: nested more than 32 levels deep"],
  ["quick: {}", `quick: ${"[".repeat(9000)}`, "recipe.yaml: nested more than 32 levels deep"],
  [
    "title: Small",
    `title: ${"x".repeat(70000)}`,
    "recipe.yaml: 71161 bytes, expected at most 65536; this is not a recipe",
  ],
];

for (const [from, to, message] of mistakes) {
  Deno.test(`resolveDocument() explains ${from.trim().split("\n")[0]} → ${to.trim().split("\n")[0]!.slice(0, 30)}`, async () => {
    assert(recipeText.includes(from), "the mistake is not in the recipe");
    const problem = await assertRejects(() => resolve(recipeText.replace(from, to)), Problem);
    assertEquals([problem.message, problem.exitCode], [message, 2]);
  });
}

for (
  const [text, message] of [["", "the file is empty"], ["# nothing\n", "the file is empty"], [
    "- 1\n",
    "expected a map of keys, got a list",
  ]]
) {
  Deno.test(`parseRecipeText() refuses ${JSON.stringify(text)}`, async () => {
    await assertRejects(() => parseRecipeText("recipe.yaml", text!), Problem, message);
  });
}
