import { type EngineChoice, openEngine } from "../../lib/engine/mod.ts";

/** The engines that can be opened here; why the native one cannot, if it cannot, is said once. */
export async function availableEngines(): Promise<EngineChoice[]> {
  try {
    await openEngine("native");
    return ["wasm", "native"];
  } catch (error) {
    console.warn(`Only the embedded engine is tested: ${error instanceof Error ? error.message : error}`);
    return ["wasm"];
  }
}

/** Registers a test once per available engine. */
export async function testOnEachEngine(name: string, body: () => void | Promise<void>): Promise<void> {
  for (const engine of await (available ??= availableEngines())) {
    Deno.test(`${name} (${engine})`, async () => {
      await openEngine(engine);
      await body();
    });
  }
}

let available: Promise<EngineChoice[]> | undefined;
