import fc from "fast-check";
import { assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { canonicalJson, hashFile, hashOf } from "../../lib/core/hash.ts";
import { Problem } from "../../lib/core/problem.ts";

Deno.test("hashOf() of text and bytes is SHA-256 as published (FIPS 180-2, example B.1)", () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assertEquals(hashOf("abc"), abc);
  assertEquals(hashOf(new TextEncoder().encode("abc")), abc);
});

Deno.test("canonicalJson() does not depend on the order in which a map was built, and parses back to the value", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 3 }), (json) => {
    const text = canonicalJson(json);
    assertEquals(canonicalJson(reversed(json)), text);
    assertEquals(canonicalJson(JSON.parse(text)), text);
    assertEquals(canonicalJson(JSON.parse(JSON.stringify(json))), text);
  }));
});

Deno.test("canonicalJson() leaves out what is undefined and refuses numbers that JSON would hide", () => {
  assertEquals(canonicalJson({ b: undefined, a: 1 }), '{"a":1}');
  assertThrows(() => canonicalJson({ loss: NaN }), TypeError, "NaN");
  assertThrows(() => canonicalJson([Infinity]), TypeError, "Infinity");
  assertNotEquals(hashOf({ a: 1 }), hashOf({ a: "1" }));
});

Deno.test("hashFile() equals hashOf() of the bytes, and names a file that is missing", async () => {
  const path = await Deno.makeTempFile();
  const bytes = Uint8Array.from({ length: 2_500_000 }, (_, i) => (i * 7) % 256);
  await Deno.writeFile(path, bytes);
  assertEquals(await hashFile(path), hashOf(bytes));
  await Deno.remove(path);
  await assertRejects(() => hashFile(path), Problem, path);
});

/** The same value with the keys of every map inserted the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).reverse().map(([key, member]) => [key, reversed(member)]));
}
