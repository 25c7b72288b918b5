import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { codeVersion, withoutComments } from "../../lib/runs/code_version.ts";

Deno.test("withoutComments() sees through comments and layout, not through code", () => {
  const source = "/** Adds. */\nconst f = (a, b) =>\n  a + b; // really\n";
  assertEquals(withoutComments(source), withoutComments("const f = (a, b) => a + b;"));
  assertNotEquals(withoutComments(source), withoutComments("const f = (a, b) => a - b;"));
});

Deno.test("codeVersion() follows imports: a coupling's code is its own and what it imports, not its neighbours'", async () => {
  const [independent, semidiscrete] = await Promise.all([
    codeVersion([{ coupling: "independent" }]),
    codeVersion([{ coupling: "semidiscrete" }]),
  ]);
  assertEquals(independent, await codeVersion(["couplings/independent.ts"]));
  assertNotEquals(independent, semidiscrete);
  // What is imported is in it already, so naming it again changes nothing; a file from elsewhere does.
  assertEquals(semidiscrete, await codeVersion([{ coupling: "semidiscrete" }, "couplings/potential.ts"]));
  assertNotEquals(independent, await codeVersion([{ coupling: "independent" }, "couplings/potential.ts"]));
});

Deno.test("codeVersion() names a kind that no export line has", async () => {
  await assertRejects(() => codeVersion([{ coupling: "nowhere" }]), TypeError, "nowhere");
});
