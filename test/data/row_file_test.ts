import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { openRowFile } from "../../lib/data/row_file.ts";

const shape = { rows: 23, width: 3, step: 5 };
const row = (i: number) => [i, i + 0.25, -i];
const make = (start: number, end: number) =>
  Promise.resolve(Float32Array.from(Array.from({ length: end - start }, (_, i) => row(start + i)).flat()));

async function inFolder(body: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  await body(`${folder}/new/rows.f32`, folder).finally(() => Deno.remove(folder, { recursive: true }));
}

Deno.test("openRowFile() makes the rows once and gives them back in any order", () =>
  inFolder(async (path) => {
    const steps: number[] = [];
    const file = await openRowFile(path, { ...shape, watch: (rows) => steps.push(rows) }, make);
    assertEquals(steps, [5, 10, 15, 20, 23]);
    assertEquals([...file.gather(Int32Array.of(22, 0, 7, 7))], [row(22), row(0), row(7), row(7)].flat());
    const again = await openRowFile(path, shape, () => Promise.reject(new Error("made again")));
    assertEquals([...again.gather(Int32Array.of(13))], row(13));
    for (const outside of [-1, 23]) assertThrows(() => file.gather(Int32Array.of(outside)), RangeError, "it has 23");
    assertEquals([...Deno.readDirSync(path.replace("/rows.f32", ""))].map(({ name }) => name), ["rows.f32"]);
  }));

Deno.test("openRowFile() interrupted at any step goes on and ends with the same bytes", () =>
  inFolder(async (path, folder) => {
    await openRowFile(path, shape, make);
    const whole = await Deno.readFile(path);
    for (let stop = 0; stop < shape.rows; stop += shape.step) {
      const other = `${folder}/${stop}.f32`, asked: number[] = [];
      const stopping = (start: number, end: number) =>
        start === stop ? Promise.reject(new Error("interrupted")) : make(start, end);
      await assertRejects(() => openRowFile(other, shape, stopping), Error, "interrupted");
      // A crash may leave the last step torn.
      if (stop > 0) await Deno.writeFile(`${other}.part`, new Uint8Array(7), { append: true });
      await openRowFile(other, shape, (start, end) => {
        asked.push(start);
        return make(start, end);
      });
      assertEquals(await Deno.readFile(other), whole);
      assertEquals(asked[0], Math.max(0, stop - shape.step), "what was synced before the last step is not made again");
    }
  }));

Deno.test("openRowFile() makes the rows once for two that ask at the same time", () =>
  inFolder(async (path) => {
    let made = 0;
    const counting = (start: number, end: number) => {
      made += end - start;
      return make(start, end);
    };
    const files = await Promise.all([1, 2].map(() => openRowFile(path, shape, counting)));
    assertEquals(made, shape.rows);
    assertEquals(files.map((file) => [...file.gather(Int32Array.of(4))]), [row(4), row(4)]);
  }));

Deno.test("openRowFile() refuses a file of another length, and a place that cannot be written", () =>
  inFolder(async (path, folder) => {
    await openRowFile(path, shape, make);
    const problem = await assertRejects(() => openRowFile(path, { ...shape, rows: 24 }, make), Problem, "delete it");
    assertEquals(problem.exitCode, 74);
    await Deno.writeTextFile(`${folder}/file`, "");
    await assertRejects(() => openRowFile(`${folder}/file/rows.f32`, shape, make), Problem, "Cannot write");
  }));
