// Makes a file of rows and a stage, each of which wants a lock, in a folder: `without_locks.ts FOLDER`.
import { openRowFile } from "../../lib/data/row_file.ts";
import { planStage, runStage } from "../../lib/runs/stages.ts";

const [folder] = Deno.args;
const rows = await openRowFile(
  `${folder}/rows.f32`,
  { rows: 1, width: 2 },
  () => Promise.resolve(Float32Array.of(3, 5)),
);
for (const seed of [0, 1]) {
  const plan = await planStage({ kind: "student", name: "student", key: { seed } }, { root: folder! });
  await runStage(plan, (folder) => Deno.writeTextFile(`${folder}/value.json`, "7"));
}
console.log(JSON.stringify([...rows.gather(Int32Array.of(0))]));
