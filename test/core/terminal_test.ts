import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { barLine } from "../../lib/core/bar_line.ts";
import { count, duration, progress } from "../../lib/core/terminal.ts";

Deno.test("progress() in a pipe prints plain lines at most every 30 seconds, and the last state at the end", () => {
  const lines: string[] = [];
  let now = 0;
  const stream = { isTerminal: () => false, write: (text: string) => void lines.push(text) };
  const shown = progress("student", 1000, "samples", { stream, clock: () => now });
  for (let done = 0; done <= 900; done += 100) {
    shown.update(done, `loss ${done / 1000}`);
    now += 10_000;
  }
  shown.stop();
  assertEquals(lines, [
    "student: 300 of 1000 samples, 10 samples/s, 1 min 10 s left, loss 0.3\n".replace("1000", "1k"),
    "student: 600 of 1k samples, 10 samples/s, 40 s left, loss 0.6\n",
    "student: 900 of 1k samples, 10 samples/s, 10 s left, loss 0.9\n",
  ]);
});

Deno.test("progress() counts the rate from where a resumed task went on, and says nothing when quiet", () => {
  const lines: string[] = [];
  let now = 0;
  const stream = { isTerminal: () => false, write: (text: string) => void lines.push(text) };
  const shown = progress("student", 1000, "samples", { stream, clock: () => now });
  shown.update(500);
  now = 60_000;
  shown.update(560);
  shown.stop();
  assertEquals(lines, ["student: 560 of 1k samples, 1 samples/s, 7 min 20 s left\n"]);
  progress("student", 10, "samples", { stream, quiet: true }).update(10);
  assertEquals(lines.length, 1);
});

Deno.test("count() and duration() speak as a person does", () => {
  assertEquals([950, 1000, 25000, 123456, 1.5e6, 2 ** 28, 0.1234].map(count), [
    "950",
    "1k",
    "25k",
    "123k",
    "1.5M",
    "256 MiB",
    "0.123",
  ]);
  assertEquals([0.44, 42, 200, 7500, Infinity].map(duration), ["0.4 s", "42 s", "3 min 20 s", "2 h 05 min", "–"]);
});

for (const columns of [200, 120, 80, 60]) {
  Deno.test(`barLine() shows count, rate and time left in ${columns} columns, and never fills the line`, () => {
    const state = "123k of 1.5M samples, 1.23k samples/s, 12 min 20 s left";
    for (const label of ["student NFM seed 0", "preparing ImageNet 64 train, of which there is much"]) {
      for (const note of ["", "loss 0.3123"]) {
        for (const fraction of [0, 0.5, 1]) {
          const line = barLine({ label, fraction, state, note }, columns);
          assertStringIncludes(line, ` ${state}`);
          assert(line.length < columns, `${line.length} of ${columns}: ${line}`);
        }
      }
    }
  });
}

Deno.test("barLine() gives the bar what the words leave, and then cuts the note before the label", () => {
  const parts = { label: "student", fraction: 0.5, state: "3 of 6 steps, 1 s left", note: "loss 0.3" };
  const lines = [99, 52, 46, 43, 36, 29].map((columns) => barLine(parts, columns));
  assertEquals(lines, [
    "student ████████████░░░░░░░░░░░░ 3 of 6 steps, 1 s left, loss 0.3",
    "student █████░░░░░ 3 of 6 steps, 1 s left, loss 0.3",
    "student ██░░ 3 of 6 steps, 1 s left, loss 0.3",
    "student █ 3 of 6 steps, 1 s left, loss 0.3",
    "student 3 of 6 steps, 1 s left, lo…",
    "stud… 3 of 6 steps, 1 s left",
  ]);
});
