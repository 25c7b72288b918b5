import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { outputOf } from "../../lib/core/program.ts";
import { finished } from "../runs/workspace.ts";

/** What the C library of a cluster's node answers where Lustre is mounted without flock: ENOSYS. */
const withoutLocks = `
#include <errno.h>
int flock(int file, int operation) { errno = ENOSYS; return -1; }`;

Deno.test({
  name: "a file system without locks is named once, and the work is done without them",
  ignore: Deno.build.os !== "linux" || await outputOf("cc", ["--version"]) === undefined,
  async fn() {
    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(`${folder}/none.c`, withoutLocks);
    await outputOf("cc", ["-shared", "-fPIC", "-o", `${folder}/none.so`, `${folder}/none.c`]);
    const script = fileURLToPath(new URL("without_locks.ts", import.meta.url));
    const work = async (env: Record<string, string>) =>
      finished(
        await new Deno.Command(Deno.execPath(), {
          args: ["run", "--quiet", "-A", script, await Deno.makeTempDir({ dir: folder, prefix: "work-" })],
          env,
        }).output(),
      );
    const { code, out, err } = await work({ LD_PRELOAD: `${folder}/none.so` });
    assertEquals([code, out], [0, "[3,5]\n"], err);
    const said = "has no locks: see to it that no two processes share its folder";
    assertEquals([err.split("\n").length, err.includes(`rows.f32 ${said}`)], [2, true], err);
    assertEquals(await work({}), { code: 0, out: "[3,5]\n", err: "" });
    await Deno.remove(folder, { recursive: true });
  },
});
