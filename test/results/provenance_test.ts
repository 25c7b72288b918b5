import { assertEquals, assertMatch } from "@std/assert";
import { hashOf } from "../../lib/core/hash.ts";
import { cpuFlags } from "../../lib/engine/device.ts";
import type { Engine } from "../../lib/engine/types.ts";
import { parseEnvironment } from "../../lib/results/environment.ts";
import { collectProvenance, commitHere, readProvenance, writeProvenance } from "../../lib/results/provenance.ts";

const engine: Engine = {
  kind: "wasm",
  version: "tfjs-backend-wasm 4.22.0",
  device: "CPU",
  threads: 2,
  reason: "asked for",
};

Deno.test("collectProvenance() records commit, recipe, engine and seconds, and the environment once under its hash", async () => {
  const folder = await Deno.makeTempDir();
  const commit = await commitHere(), seconds = { student: 1.2345 };
  const inputs = { recipe: { a: 1 }, overrides: ["a=1"], commit, engine, seconds, environments: folder };
  const provenance = await collectProvenance(inputs);
  assertMatch(provenance.date, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assertEquals(provenance.commit, commit);
  assertMatch(commit, /^[0-9a-f]{40}(\+dirty)?$|^unknown$/);
  assertEquals([provenance.recipe, provenance.seconds], [hashOf({ a: 1 }), { student: 1.2 }]);
  const path = `${folder}/${provenance.environment}.json`;
  const environment = JSON.parse(await Deno.readTextFile(path));
  assertEquals(hashOf(environment).slice(0, 8), provenance.environment);
  assertEquals([environment.deno, environment.engine.threads], [Deno.version.deno, 2]);
  const { instructions = [] } = parseEnvironment(path, JSON.stringify(environment));
  assertEquals(instructions.includes("avx2"), (await cpuFlags()).includes("avx2"));
  await collectProvenance(inputs);
  assertEquals([...Deno.readDirSync(folder)].length, 1);
  for (const one of [provenance, await collectProvenance({ ...inputs, teacher: "train", files: ["a.svg"] })]) {
    await writeProvenance(`${folder}/provenance.json`, one);
    assertEquals(await readProvenance(`${folder}/provenance.json`), one);
  }
  await Deno.remove(folder, { recursive: true });
});
