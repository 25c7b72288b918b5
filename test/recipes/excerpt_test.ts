import { assertEquals } from "@std/assert";
import { excerpt } from "../../lib/recipes/excerpt.ts";

const text = `# a recipe
base:
  rows:
    FM: { coupling: { kind: independent } } # nothing to say
    SD-FM:
      coupling:
        kind: semidiscrete
    NFM: # the flow's
      coupling: { kind: normalizingFlow }

  samples: 10
`;

Deno.test("excerpt() gives a member as it is written, without its indentation, and its line", async () => {
  assertEquals(await excerpt(text, ["base", "rows", "SD-FM"]), {
    line: 5,
    text: "SD-FM:\n  coupling:\n    kind: semidiscrete",
  });
  assertEquals(await excerpt(text, ["base", "rows", "FM"]), {
    line: 4,
    text: "FM: { coupling: { kind: independent } }",
  });
  assertEquals(await excerpt(text, ["base", "samples"]), { line: 11, text: "samples: 10" });
});

Deno.test("excerpt() is nothing where nothing is written, and for what is not YAML", async () => {
  assertEquals(await excerpt(text, ["base", "rows", "OT"]), undefined);
  assertEquals(await excerpt(text, ["scales", "desk", "rows", "FM"]), undefined);
  assertEquals(await excerpt("a: [1", ["a"]), undefined);
});
