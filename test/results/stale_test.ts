import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { hashOf } from "../../lib/core/hash.ts";
import { loadRecipe } from "../../lib/recipes/load.ts";
import { printRecipe } from "../../lib/recipes/print.ts";
import type { ResolvedRecipe } from "../../lib/recipes/types.ts";
import type { Provenance } from "../../lib/results/provenance.ts";
import { staleness } from "../../lib/results/stale.ts";
import { listResults, readResults, type Result, workingTree } from "../../lib/results/tree.ts";
import { smallTable } from "./temporary_project.ts";

/** A result that this recipe made. */
function made(recipe: ResolvedRecipe, change: Partial<Provenance> = {}): Result {
  const provenance = {
    date: "2026-01-02T03:04:05Z",
    commit: "unknown",
    recipe: hashOf(recipe),
    overrides: [],
    engine: "wasm",
    threads: 2,
    seconds: {},
    environment: "1b4bb2fa",
    ...change,
  };
  const figures = smallTable({ experiment: recipe.experiment, scale: recipe.scale, version: recipe.version });
  const resolved = printRecipe(recipe);
  return { place: "table4/quick", path: "results/table4/quick", figures, provenance, resolved, files: [], faults: [] };
}

const now = (await loadRecipe("table4", "quick")).recipe;
const wider: ResolvedRecipe = { ...now, student: { ...now.student, model: { ...now.student.model, width: 32 } } };

Deno.test("staleness() is nothing for what the recipe gives today, also for the overrides that a run had", async () => {
  assertEquals(await staleness(made(now)), undefined);
  const overrides = ["student.width=128", "seed=1,2"];
  const { recipe } = await loadRecipe("table4", "quick", overrides);
  assertEquals(await staleness(made(recipe, { overrides })), undefined);
  assertStringIncludes((await staleness(made(recipe)))!, "seeds was [1,2], is [0]");
});

Deno.test("staleness() names the key that changed since, the version first", async () => {
  assertEquals(await staleness(made(wider)), "student.model.width was 32, is 64");
  const older = { ...wider, version: now.version + 1 };
  assertEquals(await staleness(made(older)), `the recipe's version was ${now.version + 1}, is ${now.version}`);
});

Deno.test("staleness() takes a key that the schema gained since for its default", async () => {
  const { flips: _, ...before } = now;
  const { images: __, ...evaluation } = now.evaluation;
  const without = before as ResolvedRecipe;
  assertEquals(await staleness(made(without)), undefined);
  // Quick does not leave `images` at its default: what was measured then is not what would be measured now.
  const other = { ...now, evaluation } as ResolvedRecipe;
  assertStringIncludes((await staleness(made(other)))!, "evaluation.images was ");
});

Deno.test("staleness() says what cannot be told apart from staleness", async () => {
  const { provenance: _, ...unsigned } = made(now);
  const { resolved: __, ...unwritten } = made(wider);
  const elsewhere = made({ ...now, experiment: "table99" });
  const cases: [Parameters<typeof staleness>[0], string][] = [
    [unsigned, "no provenance.json"],
    [unwritten, "the recipe changed"],
    [elsewhere, 'no experiment "table99"'],
    [
      made(now, { overrides: ["student.model.gone=3"], recipe: "0" }),
      "its recipe no longer resolves: student.model.gone",
    ],
    [{ ...made(wider), resolved: printRecipe(now) }, "is not the recipe that its provenance names"],
    [{ ...made(wider), resolved: "a: [" }, "its recipe cannot be read: results/table4/quick/resolved.yaml:"],
  ];
  for (const [result, clause] of cases) {
    const stale = await staleness(result);
    assertStringIncludes(stale ?? "not stale", clause);
    assert(!stale!.includes("\n"));
  }
});

Deno.test("every committed result reads, and what its recipe no longer gives is named stale", async () => {
  const source = await workingTree();
  const { results, faults } = await readResults(source);
  assertEquals(faults, []);
  assertEquals(results.map(({ place }) => place), listResults(source));
  assert(results.length > 0);
  for (const { place, path, figures, provenance, resolved } of results) {
    assert(provenance && resolved !== undefined, `${place} has no provenance or recipe`);
    const aged = { ...provenance, recipe: hashOf("another recipe") };
    assert(await staleness({ path, figures, provenance: aged, resolved }) !== undefined, `${place} is not named stale`);
  }
});
