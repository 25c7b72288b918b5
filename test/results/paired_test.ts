import { assertAlmostEquals, assertEquals } from "@std/assert";
import { pairedDifferences } from "../../lib/results/paired.ts";

const seeds = (row: string, values: number[]) =>
  values.map((value) => ({
    [`${row} / 64 / heun 7 / guided / frechet`]: { value, sampleCount: 1000 },
    [`${row} / 64 / loss`]: { value: 1, sampleCount: 6 },
  }));

Deno.test("pairedDifferences() cancels what the rows of a seed share", () => {
  const rows = { FM: seeds("FM", [10, 20, 30]), NFM: seeds("NFM", [9, 18.9, 29.1]) };
  const figures = pairedDifferences(rows, "frechet");
  assertEquals(Object.keys(figures), ["NFM / 64 / heun 7 / guided / frechet minus FM"]);
  const [figure] = Object.values(figures);
  assertAlmostEquals(figure!.value, -1, 1e-12);
  // The differences -1, -1.1, -0.9 have a standard deviation of 0.1.
  assertAlmostEquals(figure!.standardError!, 0.1 / Math.sqrt(3), 1e-12);
});

Deno.test("pairedDifferences() compares each row with those before it, and says nothing of one seed", () => {
  const three = { A: seeds("A", [1, 2]), B: seeds("B", [1, 2]), C: seeds("C", [1, 2]) };
  assertEquals(Object.keys(pairedDifferences(three, "frechet")).length, 3);
  assertEquals(pairedDifferences({ A: seeds("A", [1]), B: seeds("B", [1]) }, "frechet"), {});
  // A row that no student is trained for.
  assertEquals(pairedDifferences({ A: [], B: seeds("B", [1, 2]) }, "frechet"), {});
});
