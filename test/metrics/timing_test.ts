import { assert, assertEquals } from "@std/assert";
import { quartiles, type Timed, timeInTurns } from "../../lib/metrics/timing.ts";

/** A contender that takes `milliseconds` of a made-up clock and half of that from the processor. */
function contender(name: string, milliseconds: number, clock: { now: number }, log: string[]) {
  return {
    run(calls: number) {
      log.push(`${name}${calls}`);
      clock.now += milliseconds * calls;
      return Promise.resolve(milliseconds / 2000);
    },
  };
}

Deno.test("contenders take turns of about the length asked for, after three untimed calls", async () => {
  const clock = { now: 0 }, log: string[] = [];
  const timed = await timeInTurns({ a: contender("a", 10, clock, log), b: contender("b", 500, clock, log) }, {
    rounds: 2,
    turnSeconds: 0.1,
    clock: () => clock.now,
  });
  assertEquals(log, ["a1", "a1", "a1", "b1", "b1", "b1", "a10", "b1", "a10", "b1"]);
  const { a, b } = timed as Record<string, Timed>;
  assertEquals([a!.calls, [...a!.seconds], [...a!.processor]], [10, [0.01, 0.01], [0.005, 0.005]]);
  assertEquals([b!.firstSeconds, b!.calls, [...b!.seconds]], [0.5, 1, [0.5, 0.5]]);
});

Deno.test("what fails at its first call is reported, and the others are timed without it", async () => {
  const clock = { now: 0 }, turns: string[] = [];
  const timed = await timeInTurns({
    good: contender("good", 1, clock, []),
    bad: { run: () => Promise.reject(new Error("no compiler")) },
  }, { rounds: 1, turnSeconds: 0.001, clock: () => clock.now, onTurn: (name) => turns.push(name) });
  assert(timed.bad instanceof Error);
  assert(!(timed.good instanceof Error));
  assertEquals(turns, ["good", "bad", "good", "bad"]);
});

Deno.test("quartiles interpolate between sorted values", () => {
  assertEquals(quartiles([5, 1, 3, 2, 4]), { low: 2, median: 3, high: 4 });
  assertEquals(quartiles([1, 2]), { low: 1.25, median: 1.5, high: 1.75 });
  assertEquals(quartiles([7]), { low: 7, median: 7, high: 7 });
});
