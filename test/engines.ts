import { assertEquals } from "@std/assert";
import { openEngine } from "../lib/engine/mod.ts";
import { notRecorded } from "../lib/engine/trace.ts";

/** The engines of this machine: the embedded one always, the native one where its library is found. */
export const engines = ["wasm"] as ("wasm" | "native")[];
try {
  await openEngine("native");
  engines.push("native");
} catch (error) {
  console.warn(`native engine not tested: ${error instanceof Error ? error.message : error}`);
}

/** Registers `body` once for each engine, with that engine open; nothing that it calls may run eagerly for want of a recording. */
export function testOnEngines(name: string, body: (engine: "wasm" | "native") => void | Promise<void>): void {
  for (const engine of engines) {
    Deno.test({
      name: `${name} [${engine}]`,
      fn: async () => {
        await openEngine(engine);
        await body(engine);
        assertEquals([...notRecorded], []);
      },
      sanitizeResources: false, // an engine stays open
    });
  }
}
