// Runs every ablation, cut by --limit, in the folder that it is started in: `every_ablation.ts ENGINE`.
import { main } from "../../lib/cli.ts";
import { listAblations } from "../../lib/recipes/load.ts";

const [engine] = Deno.args;
for (const name of await listAblations()) await main(["ablate", name, "--limit", "96", "--quiet", "--engine", engine!]);
