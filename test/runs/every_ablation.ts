// Runs ablations, cut by --limit, in the folder that it is started in: `every_ablation.ts ENGINE NAME…`.
import { main } from "../../lib/cli.ts";

const [engine, ...names] = Deno.args;
for (const name of names) await main(["ablate", name, "--limit", "96", "--quiet", "--engine", engine!]);
