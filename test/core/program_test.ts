import { assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { runProgram } from "../../lib/core/program.ts";

const purpose = "count";
const script = (code: string) => [Deno.execPath(), ["eval", "--quiet", code]] as const;

Deno.test("runProgram() hears every line once, whole, and says how it ended", async () => {
  const lines: string[] = [];
  const write = `for (const text of ["one\\ntw", "o\\n\\nthr", "ee"]) {
    await Deno.stdout.write(new TextEncoder().encode(text));
    await new Promise((go) => setTimeout(go, 50));
  }
  console.error("why:", Deno.env.get("NFM_COUNT"));
  Deno.exit(3);`;
  const options = { purpose, env: { NFM_COUNT: "four" }, onLine: (line: string) => void lines.push(line) };
  assertEquals(await runProgram(...script(write), options), { success: false, stderr: "why: four\n" });
  assertEquals(lines, ["one", "two", "", "three"]);
  assertEquals(await runProgram(...script(""), { purpose }), { success: true, stderr: "" });
});

Deno.test("runProgram() says in one sentence that a program is not there", async () => {
  const run = (why?: string) => runProgram("/no/program", [], { purpose, ...(why && { why }) });
  await assertRejects(run, Problem, "Cannot count: /no/program is not installed");
  await assertRejects(() => run("it counts"), Problem, "Cannot count: /no/program is not installed, and it counts");
});
