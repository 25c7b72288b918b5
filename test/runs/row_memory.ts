// Runs Table 9 with some of its rows at a time, cut by --limit, in the folder that it is started in, and prints how
// many tensors there are after each run: `row_memory.ts ENGINE`.
import { tf } from "../../lib/engine/mod.ts";
import { main } from "../../lib/cli.ts";

const [engine] = Deno.args;
const rows = ["narrow", "even blocks", "narrow patch 4", "reference", "wide"];
const short = ["evaluation.metrics=[likelihood, frechet]", "evaluation.samplers=[{method: euler, nfe: 2}]"];
const tensors = [];
for (const some of [rows.slice(0, 1), rows.slice(1, 2), rows.slice(2, 4)]) {
  const others = rows.filter((row) => !some.includes(row)).map((row) => `~rows."${row}"`);
  await main(["run", "table9", "--limit", "48", "--quiet", "--engine", engine!, ...short, ...others]);
  tensors.push(tf.memory().numTensors);
}
console.log(JSON.stringify(tensors));
