import { join } from "node:path";
import type { FetchWheel } from "../../lib/engine/python.ts";
import type { Release, Wheel } from "../../lib/engine/releases.ts";
import { hashFile } from "../../lib/core/hash.ts";

/** The names that a wheel for this system gives the two libraries. */
export const LIBRARIES = Deno.build.os === "darwin"
  ? ["tensorflow/libtensorflow_framework.2.dylib", "tensorflow/libtensorflow_cc.2.dylib"]
  : ["tensorflow/libtensorflow_framework.so.2", "tensorflow/libtensorflow_cc.so.2"];

/** Makes a real wheel (a zip with the names of the real one, and random bytes) and the release that pins it. */
export async function makeRelease(folder: string, bytes = 1 << 20): Promise<{ release: Release; wheel: string }> {
  const wheel = join(folder, "nfm_small-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl");
  const program = `
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as archive:
    for name in sys.argv[3:]:
        archive.writestr(name, os.urandom(int(sys.argv[2])))
    archive.writestr("tensorflow/__init__.py", "not wanted")
    info = "nfm_small-2.21.0.dist-info/"
    archive.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: nfm-small\\nVersion: 2.21.0\\n")
    archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: cp312-cp312-manylinux_2_27_x86_64\\n")
    archive.writestr(info + "RECORD", "")
`;
  const made = await new Deno.Command("python3", { args: ["-c", program, wheel, String(bytes), ...LIBRARIES] })
    .output();
  if (!made.success) throw new Error(new TextDecoder().decode(made.stderr));
  return { wheel, release: releaseOf(await hashFile(wheel), bytes) };
}

/** A release of the one small wheel, pinned to `sha256`. */
export function releaseOf(sha256: string, bytes: number): Release {
  const wheel: Wheel = {
    project: "nfm-small",
    version: "2.21.0",
    platform: "manylinux_2_27_x86_64",
    sha256,
    members: LIBRARIES,
  };
  return { version: "2.21.0", flavour: "cpu", wheels: [wheel], downloadBytes: 2 * bytes, unpackedBytes: 2 * bytes };
}

/** Fetches by copying `wheel`, and adds a line to `log` for each time it is asked. */
export function copyFrom(wheel: string, log: string): FetchWheel {
  return async (_wheel, folder, onBytes) => {
    await Deno.writeTextFile(log, "fetched\n", { append: true });
    await Deno.copyFile(wheel, join(folder, "small.whl"));
    onBytes((await Deno.stat(wheel)).size);
  };
}
