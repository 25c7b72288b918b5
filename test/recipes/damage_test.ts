import fc from "fast-check";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { parseRecipeText } from "../../lib/recipes/document.ts";
import { resolveDocument } from "../../lib/recipes/load.ts";
import { printRecipe, readResolved } from "../../lib/recipes/print.ts";

const recipeText = await Deno.readTextFile(new URL("../fixtures/recipe.yaml", import.meta.url));

async function resolve(text: string) {
  return await resolveDocument(await parseRecipeText("recipe.yaml", text), "small", "quick");
}

Deno.test("a damaged recipe either resolves or is explained in one line with a position", async () => {
  const damage = fc.array(
    fc.record({
      at: fc.nat(recipeText.length),
      remove: fc.nat(12),
      insert: fc.oneof(
        fc.string({ maxLength: 4 }),
        fc.constantFrom(
          "\n",
          ": ",
          "- ",
          "[",
          "}",
          "#",
          "&a ",
          "*a",
          "!!x ",
          "null",
          "-1",
          "1e400",
          '"',
          "\t",
          "\0",
          "é",
          "{}",
        ),
      ),
    }),
    { minLength: 1, maxLength: 3 },
  );
  await fc.assert(
    fc.asyncProperty(damage, async (changes) => {
      const text = changes.reduce(
        (all, { at, remove, insert }) => all.slice(0, at) + insert + all.slice(at + remove),
        recipeText,
      );
      try {
        const { recipe } = await resolve(text);
        assertEquals(await readResolved("resolved.yaml", printRecipe(recipe)), recipe);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        assertMatch(error.message, /^recipe\.yaml(:\d+:\d+)?:? [^\n]+$/);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("a key with one letter wrong is answered with the right key, 95 times of 100 or more", async () => {
  const keys = [...recipeText.matchAll(/(?<=[\s{])([a-z][A-Za-z]{3,}):/g)].map((match) => ({
    key: match[1]!,
    at: match.index,
  }));
  let right = 0, all = 0;
  for (const { key, at } of keys) {
    if (["base", "scales", "quick", "kind"].includes(key)) continue; // a wrong kind leaves nothing to compare with
    for (const place of [1, key.length - 1]) {
      const typo = key.slice(0, place) + key.slice(place + 1);
      const text = recipeText.slice(0, at) + typo + recipeText.slice(at + key.length);
      const problem = await assertRejects(() => resolve(text), Problem);
      all++;
      if (
        problem.message.includes(`${typo}: unknown key; did you mean "`) &&
        new RegExp(`[".]${key}"\\?`).test(problem.message)
      ) right++;
    }
  }
  assert(all > 60 && right >= 0.95 * all, `${right} of ${all}`);
});
