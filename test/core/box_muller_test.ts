import { assertAlmostEquals, assertEquals } from "@std/assert";
import { boxMuller } from "../../lib/core/box_muller.ts";
import { createRng } from "../../lib/core/rng.ts";

/** Angles at every boundary of an eighth of a turn and beside it, each with the shortest and the longest radius. */
const edges = Array.from({ length: 9 }, (_, eighth) => eighth * 2 ** 29).flatMap((at) => [at - 1, at, at + 1])
  .filter((angle) => angle >= 0 && angle < 2 ** 32).flatMap((angle) => [[0, angle], [2 ** 32 - 1, angle]]).flat();

Deno.test("boxMuller() is a radius with the law of −2 ln u, turned by a uniform angle, to the last digit of float32", () => {
  const bits = Uint32Array.from([...edges, ...createRng(0).bits(200_000)]), draws = boxMuller(bits, bits.length);
  for (let i = 0; i < bits.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log((bits[i]! + 0.5) / 2 ** 32)), angle = 2 * Math.PI * bits[i + 1]! / 2 ** 32;
    const unit = 2 ** -24 * radius;
    assertAlmostEquals(draws[i]!, radius * Math.cos(angle), unit * Math.abs(Math.cos(angle)) + 1e-15);
    assertAlmostEquals(draws[i + 1]!, radius * Math.sin(angle), unit * Math.abs(Math.sin(angle)) + 1e-15);
  }
  assertEquals(boxMuller(bits, 3), draws.slice(0, 3));
});
