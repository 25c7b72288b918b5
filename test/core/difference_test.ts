import { assertEquals } from "@std/assert";
import { firstDifference } from "../../lib/core/difference.ts";

Deno.test("firstDifference() names the path of the first value that changed", () => {
  assertEquals(firstDifference({ a: { b: [1, 2] } }, { a: { b: [1, 3] } }), "a.b was [1,2], is [1,3]");
  assertEquals(firstDifference({ a: 1 }, { a: 1, b: "x" }), 'b was absent, is "x"');
});

Deno.test("firstDifference() goes into lists whose beginnings are too long to show what differs", () => {
  const metrics = ["frechet", "curvature", "loss"];
  assertEquals(firstDifference({ metrics }, { metrics: [...metrics, "nll"] }), 'metrics.3 was absent, is "nll"');
});
