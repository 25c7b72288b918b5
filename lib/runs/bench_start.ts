import { openEngine, tf } from "../engine/mod.ts";

// Run by the benchmark in a process of its own: from nothing to the first value, then how much memory that took.
await openEngine(Deno.args[0] === "wasm" ? "wasm" : "native");
const value = await tf.scalar(1).add(1).data();
console.log(JSON.stringify({ value: value[0], megabytes: Deno.memoryUsage().rss / 1e6 }));
Deno.exit(0);
