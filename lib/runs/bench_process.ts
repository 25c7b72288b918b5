import process from "node:process";
import { quartiles } from "../metrics/timing.ts";
import type { BenchReport } from "../results/bench.ts";

/** Times whole processes, from nothing to their first value; what cannot be run is left out. */
export async function startUp(kinds: readonly ("native" | "wasm")[]): Promise<BenchReport["start"]> {
  const start: BenchReport["start"] = {};
  const script = new URL("./bench_start.ts", import.meta.url).pathname;
  for (const kind of kinds) {
    const seconds: number[] = [];
    let megabytes = 0;
    for (let i = 0; i < 3; i++) {
      const begun = performance.now();
      const args = ["run", "--quiet", "--allow-all", script, kind];
      const { stdout, success } = await new Deno.Command(Deno.execPath(), { args, stderr: "null" }).output();
      if (!success) break;
      seconds.push((performance.now() - begun) / 1000);
      megabytes = JSON.parse(new TextDecoder().decode(stdout)).megabytes;
    }
    if (seconds.length === 3) start[kind] = { ...quartiles(seconds), megabytes };
  }
  return start;
}

/** The most memory that this process has held, in MB. */
export function peakMemory(): number {
  return process.resourceUsage().maxRSS * 1024 / 1e6;
}
