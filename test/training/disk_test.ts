import { assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { parameterCount, type ParameterSpec } from "../../lib/nn/parameters.ts";
import { loadCheckpoint, saveCheckpoint } from "../../lib/training/checkpoint.ts";

const specs: ParameterSpec[] = [{ name: "a", shape: [40, 256], init: { kind: "ones" } }];
const identity = { recipe: "r1" };
const state = (step: number) => {
  const vector = () => new Float32Array(parameterCount(specs)).fill(step);
  return {
    step,
    samplesSeen: step,
    parameters: vector(),
    ema: vector(),
    firstMoment: vector(),
    secondMoment: vector(),
  };
};

async function mount(...args: string[]): Promise<boolean> {
  return (await new Deno.Command("mount", { args, stderr: "null" }).output().catch(() => undefined))?.success ?? false;
}

/** Runs `body` in a folder on a disk of its own; `false` when this machine does not let us make one. */
async function onSmallDisk(kib: number, body: (folder: string) => Promise<void>): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  const mounted = await mount("-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", folder);
  try {
    if (mounted) await body(folder);
    return mounted;
  } finally {
    if (mounted) await new Deno.Command("umount", { args: [folder] }).output();
    await Deno.remove(folder);
  }
}
const ignore = Deno.build.os !== "linux" || Deno.uid() !== 0 || !await onSmallDisk(16, () => Promise.resolve());
if (ignore) console.warn("full and read-only disks not tested: only root on Linux can make a small one");
const namesIn = async (folder: string) => (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();

Deno.test(
  "saveCheckpoint() on a full disk is a Problem; the older checkpoint stays whole and alone",
  { ignore },
  async () => {
    // One checkpoint takes 161 KiB: room for one and none, one and a half, two and a half.
    for (const [kib, fits] of [[80, 0], [240, 1], [400, 2]] as const) {
      await onSmallDisk(kib, async (folder) => {
        for (let step = 1; step <= fits; step++) await saveCheckpoint(folder, specs, state(step), identity);
        const before = await namesIn(folder);
        const problem = await assertRejects(() => saveCheckpoint(folder, specs, state(9), identity), Problem, folder);
        assertEquals(problem.exitCode, 74);
        assertEquals(await namesIn(folder), before);
        const loaded = await loadCheckpoint(folder, specs, identity, () => {});
        assertEquals(loaded, fits === 0 ? undefined : state(fits));
      });
    }
  },
);

Deno.test("saveCheckpoint() on a read-only disk is a Problem naming the file", { ignore }, async () => {
  await onSmallDisk(400, async (folder) => {
    await saveCheckpoint(folder, specs, state(1), identity);
    assertEquals(await mount("-o", "remount,ro", folder), true);
    const problem = await assertRejects(() => saveCheckpoint(folder, specs, state(2), identity), Problem, "read-only");
    assertEquals(problem.exitCode, 74);
    assertEquals(await loadCheckpoint(folder, specs, identity, () => {}), state(1));
  });
});
