import { assertEquals, assertNotEquals } from "@std/assert";
import { codeVersion, withoutComments } from "../../lib/runs/code_version.ts";

Deno.test("withoutComments() sees through comments and layout, not through code", () => {
  const source = "/** Adds. */\nconst f = (a, b) =>\n  a + b; // really\n";
  assertEquals(withoutComments(source), withoutComments("const f = (a, b) => a + b;"));
  assertNotEquals(withoutComments(source), withoutComments("const f = (a, b) => a - b;"));
});

Deno.test("codeVersion() is the same twice, and measuring depends on more than training", async () => {
  assertEquals(await codeVersion("training"), await codeVersion("training"));
  assertNotEquals(await codeVersion("training"), await codeVersion("measuring"));
});
